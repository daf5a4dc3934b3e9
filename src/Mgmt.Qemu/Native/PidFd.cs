using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>A process held by descriptor: a signal through it never reaches a later process with the same pid.</summary>
internal sealed class PidFd : SafeHandleZeroOrMinusOneIsInvalid
{
    private PidFd(int fd)
        : base(ownsHandle: true) => SetHandle(fd);

    /// <summary>Opens a process. Null: there is none with that pid.</summary>
    public static PidFd? TryOpen(int pid)
    {
        var fd = Libc.pidfd_open(pid, 0);
        if (fd >= 0)
        {
            return new PidFd(fd);
        }
        var error = Marshal.GetLastPInvokeError();
        return error == Libc.ESRCH ? null : throw new Win32Exception(error, $"pidfd_open({pid}) failed with errno {error}");
    }

    public int Number => (int)handle;

    /// <summary>Sends SIGKILL; a process that is gone already is no error.</summary>
    public void Kill()
    {
        if (Libc.pidfd_send_signal(Number, Libc.SIGKILL, 0, 0) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error != Libc.ESRCH)
            {
                throw new Win32Exception(error, $"cannot kill: errno {error}");
            }
        }
    }

    /// <summary>Whether the process has ended.</summary>
    public bool HasExited()
    {
        Libc.PollFd[] fds = [new() { Fd = Number, Events = Libc.POLLIN }];
        return Libc.poll(fds, 1, 0) > 0;
    }

    /// <summary>How it ended, as a word (<c>exit-0</c>, <c>signal-9</c>); null when it is not our child. Call once, when it has ended.</summary>
    public string? TakeStatus()
    {
        // siginfo_t: si_code at 8, si_status at 24; CLD_EXITED is 1.
        var info = new byte[128];
        if (Libc.waitid(Libc.P_PIDFD, (uint)Number, info, Libc.WEXITED | Libc.WNOHANG) != 0)
        {
            return null;
        }
        var status = BitConverter.ToInt32(info, 24);
        return BitConverter.ToInt32(info, 8) == 1 ? $"exit-{status}" : $"signal-{status}";
    }

    protected override bool ReleaseHandle() => Libc.close((int)handle) == 0;
}
