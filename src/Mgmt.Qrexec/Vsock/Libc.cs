using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qrexec;

/// <summary>The calls of the C library for vsock, which .NET does not know. All give -1 and errno on failure.</summary>
internal static partial class Libc
{
    internal const int AF_VSOCK = 40, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000, SOCK_NONBLOCK = 0x800;
    internal const int EFD_CLOEXEC = 0x80000, EMFILE = 24;
    internal const short POLLIN = 1;
    internal const uint VMADDR_CID_ANY = uint.MaxValue;

    /// <summary>struct sockaddr_vm.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct VsockAddress
    {
        internal ushort Family;
        internal ushort Reserved;
        internal uint Port;
        internal uint Cid;
        internal uint Rest;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct PollFd
    {
        internal int Fd;
        internal short Events;
        internal short Revents;
    }

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int bind(SafeFileHandle socket, in VsockAddress address, int length);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int listen(SafeFileHandle socket, int backlog);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int accept4(SafeFileHandle socket, out VsockAddress peer, ref int length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int poll([In, Out] PollFd[] fds, nuint count, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint write(SafeFileHandle file, [In] byte[] bytes, nint count);
}
