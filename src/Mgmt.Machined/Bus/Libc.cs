using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Bus;

/// <summary>What poll(2) and eventfd(2) need.</summary>
internal static partial class Libc
{
    public const short PollIn = 1;
    private const int EventFdFlags = 0x80000 | 0x800; // EFD_CLOEXEC, EFD_NONBLOCK

    public static SafeFileHandle NewEventFd()
    {
        var fd = EventFd(0, EventFdFlags);
        return fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw new IOException($"eventfd: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    public static partial int Poll([In, Out] PollFd[] fds, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "read")]
    public static partial nint Read(SafeFileHandle fd, out ulong value, nuint size);

    [LibraryImport("libc", EntryPoint = "write")]
    public static partial nint Write(SafeFileHandle fd, in ulong value, nuint size);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventFd(uint initial, int flags);

    /// <summary>struct pollfd.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int Fd;
        public short Events;
        public short Returned;
    }
}
