using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Daemon;

/// <summary>The calls of the C library that the framework has no name for.</summary>
internal static partial class Native
{
    internal const short PollHangup = 0x10;
    internal const int SocketLevel = 1; // SOL_SOCKET
    internal const int DontWait = 0x40; // MSG_DONTWAIT
    internal const int NoSignal = 0x4000; // MSG_NOSIGNAL
    internal const int AcceptNonBlocking = 0x800; // SOCK_NONBLOCK
    internal const int AcceptCloseOnExec = 0x80000; // SOCK_CLOEXEC
    internal const int EpollCloseOnExec = 0x80000; // EPOLL_CLOEXEC
    internal const int EventFdCloseOnExec = 0x80000; // EFD_CLOEXEC
    internal const int Interrupted = 4; // EINTR
    internal const int WouldBlock = 11; // EAGAIN
    internal const int ConnectionAborted = 103; // ECONNABORTED
    private const int SetDescriptorFlags = 2; // F_SETFD
    private const uint CloseMemoryFileOnExec = 1; // MFD_CLOEXEC
    private const nint CloseOnExec = 1; // FD_CLOEXEC

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    internal static unsafe partial int Poll(PollFd* fds, nuint count, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "umask")]
    internal static partial uint Umask(uint mask);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint GetEffectiveUid();

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Chown(string path, uint uid, uint gid);

    /// <summary>A file in memory that has no name but in /proc; null when the kernel gives none.</summary>
    internal static SafeFileHandle? MakeMemoryFile(string name)
    {
        var descriptor = MemoryFile(name, CloseMemoryFileOnExec);
        return descriptor < 0 ? null : new(descriptor, ownsHandle: true);
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemoryFile(string name, uint flags);

    /// <summary>Keeps a descriptor out of the processes that are started. Not 0: there is no such descriptor.</summary>
    internal static int SetCloseOnExec(int descriptor) => Fcntl(descriptor, SetDescriptorFlags, CloseOnExec);

    // Variadic in C; on Linux an integer after the fixed arguments is passed as if it were one of them.
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(int descriptor, int command, nint value);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    internal static partial int Accept(int listening, nint address, nint addressLength, int flags);

    [LibraryImport("libc", EntryPoint = "recv")]
    internal static partial nint Receive(int socket, Span<byte> buffer, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "send")]
    internal static partial nint Send(int socket, ReadOnlySpan<byte> bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "getsockopt")]
    internal static partial int GetSocketOption(int socket, int level, int name, Span<byte> value, ref uint length);

    [LibraryImport("libc", EntryPoint = "write")]
    internal static partial nint Write(int descriptor, ReadOnlySpan<byte> bytes, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    internal static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    internal static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    internal static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    internal static partial int EpollControl(int epoll, int operation, int descriptor, ReadOnlySpan<byte> watched);

    [LibraryImport("libc", EntryPoint = "epoll_wait")]
    internal static partial int EpollWait(int epoll, Span<byte> events, int maxEvents, int timeoutMs);

    [StructLayout(LayoutKind.Sequential)]
    internal struct PollFd
    {
        internal int Fd;
        internal short Events;
        internal short Returned;
    }
}
