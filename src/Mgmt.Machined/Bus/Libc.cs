using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Bus;

/// <summary>What poll(2) and eventfd(2) need.</summary>
internal static partial class Libc
{
    public const short PollIn = 1;
    private const int DuplicateCloseOnExec = 1030; // F_DUPFD_CLOEXEC
    private const nuint SetWindowSizeRequest = 0x5414; // TIOCSWINSZ
    private const int GetFlags = 3;
    private const int SetFlags = 4;
    private const int NonBlocking = 0x800; // O_NONBLOCK
    private const int EventFdFlags = 0x80000 | 0x800; // EFD_CLOEXEC, EFD_NONBLOCK

    public static SafeFileHandle NewEventFd()
    {
        var fd = EventFd(0, EventFdFlags);
        return fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw new IOException($"eventfd: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>A descriptor of our own for the same open file, null when there can be none.</summary>
    public static SafeFileHandle? Duplicate(int fd)
    {
        var own = Fcntl(fd, DuplicateCloseOnExec, 0);
        return own >= 0 ? new SafeFileHandle(own, ownsHandle: true) : null;
    }

    /// <summary>Makes reads and writes that would wait fail instead.</summary>
    public static bool SetNonBlocking(SafeFileHandle file) => Fcntl(file, SetFlags, Fcntl(file, GetFlags, 0) | NonBlocking) == 0;

    public static bool IsTerminal(SafeFileHandle file) => IsATty(file) == 1;

    [LibraryImport("libc", EntryPoint = "isatty")]
    private static partial int IsATty(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint ReadBytes(SafeFileHandle fd, Span<byte> bytes, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint WriteBytes(SafeFileHandle fd, ReadOnlySpan<byte> bytes, nuint count);

    public static void SetWindowSize(SafeFileHandle fd, in WindowSize size) => _ = Control(fd, SetWindowSizeRequest, size);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(SafeFileHandle fd, nuint request, in WindowSize size);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(int fd, int command, int value);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeFileHandle fd, int command, int value);

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

    /// <summary>struct winsize.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct WindowSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort WidthPixels;
        public ushort HeightPixels;
    }
}
