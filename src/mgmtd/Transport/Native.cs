using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Mgmt.Daemon;

/// <summary>The calls of the C library that the framework has no name for.</summary>
internal static partial class Native
{
    internal const short PollHangup = 0x10;
    private const int SetDescriptorFlags = 2; // F_SETFD
    private const nint CloseOnExec = 1; // FD_CLOEXEC

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    internal static unsafe partial int Poll(PollFd* fds, nuint count, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "umask")]
    internal static partial uint Umask(uint mask);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    internal static partial uint GetEffectiveUid();

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Chown(string path, uint uid, uint gid);

    /// <summary>Keeps a descriptor out of the processes that are started. Not 0: there is no such descriptor.</summary>
    internal static int SetCloseOnExec(int descriptor) => Fcntl(descriptor, SetDescriptorFlags, CloseOnExec);

    /// <summary>Whether the peer of a socket closed both directions or is gone.</summary>
    internal static unsafe bool HasHungUp(Socket socket)
    {
        var entry = new PollFd { Fd = (int)socket.Handle };
        return Poll(&entry, 1, 0) > 0 && (entry.Returned & PollHangup) != 0;
    }

    // Variadic in C; on Linux an integer after the fixed arguments is passed as if it were one of them.
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(int descriptor, int command, nint value);

    [StructLayout(LayoutKind.Sequential)]
    internal struct PollFd
    {
        internal int Fd;
        internal short Events;
        internal short Returned;
    }
}
