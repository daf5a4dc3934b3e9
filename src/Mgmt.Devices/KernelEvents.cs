using Microsoft.Win32.SafeHandles;

namespace Mgmt.Devices;

/// <summary>
/// A thread that wakes somebody when the kernel tells of a device, or mounts change. What is told is not looked at: whoever forges an event makes us look once more.
/// SOURCE: netlink(7), proc(5) on poll of mountinfo.
/// </summary>
internal sealed class KernelEvents : IDisposable
{
    private readonly SafeFileHandle _stop = Libc.EventFd(0, Libc.SOCK_CLOEXEC);
    private readonly SafeFileHandle _socket;
    private readonly FileStream _mounts;
    private readonly Action _wake;
    private readonly Thread _thread;

    private KernelEvents(SafeFileHandle socket, FileStream mounts, Action wake)
    {
        _socket = socket;
        _mounts = mounts;
        _wake = wake;
        _thread = new Thread(Run) { IsBackground = true, Name = "kernel events", };
        _thread.Start();
    }

    /// <summary>Null when the kernel does not let us listen.</summary>
    internal static KernelEvents? TryStart(Action wake)
    {
        var socket = Libc.Socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC | Libc.SOCK_NONBLOCK, Libc.NETLINK_KOBJECT_UEVENT);
        // struct sockaddr_nl: family in 2 bytes, 2 of padding, pid (0: the kernel chooses), groups (1: the kernel's own events).
        var address = new byte[12];
        BitConverter.TryWriteBytes(address, (ushort)Libc.AF_NETLINK);
        BitConverter.TryWriteBytes(address.AsSpan(8), 1u);
        if (socket.IsInvalid || Libc.Bind(socket, address, (uint)address.Length) != 0)
        {
            socket.Dispose();
            return null;
        }
        return new(socket, new FileStream("/proc/self/mountinfo", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0), wake);
    }

    public void Dispose()
    {
        Libc.Write(_stop, BitConverter.GetBytes(1UL), sizeof(ulong));
        _thread.Join();
        _stop.Dispose();
        _socket.Dispose();
        _mounts.Dispose();
    }

    private void Run()
    {
        var buffer = new byte[16 * 1024];
        while (true)
        {
            Libc.PollFd[] fds =
            [
                new() { Fd = Number(_stop), Events = Libc.POLLIN }, new() { Fd = Number(_socket), Events = Libc.POLLIN }, new() { Fd = Number(_mounts.SafeFileHandle), Events = Libc.POLLPRI },
            ];
            _ = Libc.Poll(fds, (nuint)fds.Length, -1);
            if (fds[0].Revents != 0)
            {
                return;
            }
            // Also when some were lost for lack of room: then read fails once, and a look shows all.
            while (fds[1].Revents != 0 && Libc.Read(_socket, buffer, (nuint)buffer.Length) > 0)
            {
            }
            if (fds[1].Revents != 0 || fds[2].Revents != 0)
            {
                _wake();
            }
        }
    }

    private static int Number(SafeFileHandle file) => (int)file.DangerousGetHandle();
}
