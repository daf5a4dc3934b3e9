using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>One thread that waits for the end of all VMs' processes at once and reaps those that are our children.</summary>
internal sealed class ExitWatcher : IAsyncDisposable
{
    private readonly Lock _gate = new();
    // Guarded by the gate.
    private readonly Dictionary<int, (PidFd Process, TaskCompletionSource<string?> Ended)> _watched = [];
    private readonly SafeFileHandle _wake;
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _stopping;

    public ExitWatcher()
    {
        // EFD_CLOEXEC | EFD_NONBLOCK
        var fd = Libc.eventfd(0, 0x80000 | 0x800);
        _wake = fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw new Win32Exception(Marshal.GetLastPInvokeError());
        new Thread(Run) { IsBackground = true, Name = "vm-exits" }.Start();
    }

    /// <summary>Completes when the process ends, with its status as <see cref="PidFd.TakeStatus"/> gives it. The handle stays the caller's.</summary>
    public Task<string?> Watch(PidFd process)
    {
        var ended = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _watched.Add(process.Number, (process, ended));
        }
        Wake();
        return ended.Task;
    }

    /// <summary>Forgets a process; its task is cancelled if it has not completed. Call before closing the handle.</summary>
    public void Forget(PidFd process)
    {
        lock (_gate)
        {
            if (_watched.Remove(process.Number, out var entry))
            {
                entry.Ended.TrySetCanceled();
            }
        }
        Wake();
    }

    /// <summary>Ends the thread; tasks of processes that live are cancelled.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _stopping = true;
        }
        Wake();
        await _finished.Task;
        _wake.Dispose();
    }

    private void Wake()
    {
        lock (_gate)
        {
            if (!_wake.IsClosed)
            {
                _ = Libc.write((int)_wake.DangerousGetHandle(), BitConverter.GetBytes(1UL), 8);
            }
        }
    }

    private void Run()
    {
        var drained = new byte[8];
        while (true)
        {
            Libc.PollFd[] fds;
            lock (_gate)
            {
                if (_stopping)
                {
                    break;
                }
                fds = [new() { Fd = (int)_wake.DangerousGetHandle(), Events = Libc.POLLIN }, .. _watched.Keys.Select(fd => new Libc.PollFd { Fd = fd, Events = Libc.POLLIN })];
            }
            // A handle forgotten and closed meanwhile shows as POLLNVAL, or as readable if its number was reused: both are checked again below.
            Libc.poll(fds, (nuint)fds.Length, -1);
            if (fds[0].Revents != 0)
            {
                _ = Libc.read(fds[0].Fd, drained, 8);
            }
            TakeEnded();
        }
        lock (_gate)
        {
            foreach (var (_, ended) in _watched.Values)
            {
                ended.TrySetCanceled();
            }
            _watched.Clear();
        }
        _finished.SetResult();
    }

    private void TakeEnded()
    {
        lock (_gate)
        {
            foreach (var (fd, (process, ended)) in _watched.Where(entry => entry.Value.Process.HasExited()).ToList())
            {
                ended.TrySetResult(process.TakeStatus());
                _watched.Remove(fd);
            }
        }
    }
}
