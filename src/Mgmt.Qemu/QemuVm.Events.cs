using Mgmt.Core;

namespace Mgmt.Qemu;

internal sealed partial class QemuVm
{
    private const int OutputTailBytes = 1024;
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private string? _shutdownReason;
    private bool _shutdownByGuest;

    // Follows events until the process ends or we let go; a monitor that breaks while the process lives is connected again.
    private async Task FollowAsync()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                var pump = PumpAsync(_monitor);
                await Task.WhenAny(pump, _ended);
                if (!_ended.IsCompleted)
                {
                    // The sockets of a dying process close a moment before it is gone.
                    await Task.WhenAny(_ended, Task.Delay(DrainLimit, _time, _stop.Token));
                }
                if (_ended.IsCompletedSuccessfully)
                {
                    // SHUTDOWN may still be on its way to us.
                    await Task.WhenAny(pump, Task.Delay(DrainLimit, _time));
                    await FinishAsync(await _ended);
                    return;
                }
                if (!_stop.IsCancellationRequested && !_ended.IsCompleted)
                {
                    await ReconnectAsync();
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            Log.FollowFailed(_log, _parts.Name, e);
            Signal(new VmSignal.FaultChanged("qmp", true));
        }
    }

    private async Task PumpAsync(QmpConnection monitor)
    {
        try
        {
            var lost = 0;
            await foreach (var found in monitor.Events.ReadAllAsync(_stop.Token))
            {
                Handle(found);
                if (monitor.EventsLost != lost)
                {
                    lost = monitor.EventsLost;
                    Log.EventsLost(_log, _parts.Name, lost);
                    await ReconcileAsync(monitor);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or MgmtException)
        {
            // A monitor that does not answer any more is connected anew.
        }
    }

    private void Handle(QmpEvent found)
    {
        switch (found.Name)
        {
            case "VSERPORT_CHANGE" when found.Text("id") == QemuCommandLine.AgentPortId:
                _agent.PortChanged(found.IsTrue("open"));
                break;
            case "VSERPORT_CHANGE":
                _ports.Told(found.Text("id") ?? "", found.IsTrue("open"), found.At);
                break;
            // What we asked for is no news.
            case "STOP" when found.Pending.Contains("stop"):
                _running = false;
                break;
            case "STOP" when _running:
                Halted("outside");
                break;
            case "RESUME" when found.Pending.Contains("cont"):
                _running = true;
                break;
            case "RESUME" when !_running:
                _running = true;
                Signal(new VmSignal.Resumed());
                break;
            // These two come before their STOP.
            case "BLOCK_IO_ERROR" when found.Text("action") == "stop" && _running:
                DiskFailed(found.Text("node-name") ?? "", found.IsTrue("nospace") ? "no-space" : "io-error");
                break;
            case "JOB_STATUS_CHANGE" when found.Text("id") is { } job:
                _copies.JobChanged(job);
                break;
            // virtio devices also tell of a part of theirs that has no id.
            case "DEVICE_DELETED" when found.Text("device") is { } device:
                _devices.Deleted(device);
                break;
            case "DEVICE_UNPLUG_GUEST_ERROR" when found.Text("device") is { } kept:
                _devices.Refused(kept);
                break;
            case "GUEST_PANICKED" when found.Text("action") == "pause" && _running:
                Halted("guest-panicked");
                break;
            case "SUSPEND":
                Signal(new VmSignal.SuspendedByGuest());
                break;
            case "WAKEUP":
                Signal(new VmSignal.WokenUp());
                break;
            case "RESET" when found.IsTrue("guest"):
                Signal(new VmSignal.Reset());
                break;
            case "SHUTDOWN":
                _shutdownReason = found.Text("reason") ?? "unknown";
                _shutdownByGuest = found.IsTrue("guest");
                if (_shutdownByGuest)
                {
                    Signal(new VmSignal.GuestShutdown(_shutdownReason));
                }
                break;
        }
    }

    private void Halted(string reason)
    {
        _running = false;
        Signal(new VmSignal.Stopped(reason));
    }

    /// <summary>
    /// While a copy runs, what the guest overwrites is first saved to the target, and a target that cannot take it fails the guest's write. The guest
    /// goes before the snapshot: the copy is given up, and the guest, whose write QEMU kept, goes on as if nothing had been.
    /// </summary>
    private void DiskFailed(string node, string reason)
    {
        _running = false;
        if (!node.StartsWith(CopyNames.Prefix, StringComparison.Ordinal))
        {
            Signal(new VmSignal.Stopped(reason));
            return;
        }
        if (!_copies.GiveUp(node, reason == "no-space", () => GoOnAsync(reason)))
        {
            _goingOn = GoOnAsync(reason);
        }
    }

    private async Task GoOnAsync(string reason)
    {
        try
        {
            await _runGate.WaitAsync(_stop.Token);
            try
            {
                if (!_pauseAsked)
                {
                    await AskAsync("cont", _stop.Token);
                }
            }
            finally
            {
                _runGate.Release();
            }
        }
        catch (Exception e) when (e is MgmtException or OperationCanceledException)
        {
            Signal(new VmSignal.Stopped(reason));
        }
    }

    private async Task ReconnectAsync()
    {
        Log.MonitorLost(_log, _parts.Name);
        Signal(new VmSignal.FaultChanged("qmp", true));
        await _monitor.DisposeAsync();
        for (var pause = TimeSpan.FromSeconds(1); !_ended.IsCompleted; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                _monitor = await MonitorAccess.ConnectAsync(_parts.Name, _parts.Directory, _options.AdoptTimeout, _time, _log, _stop.Token);
                await ReconcileAsync(_monitor);
                Signal(new VmSignal.FaultChanged("qmp", false));
                return;
            }
            catch (MgmtException)
            {
                await Task.WhenAny(_ended, Task.Delay(pause, _time, _stop.Token));
                _stop.Token.ThrowIfCancellationRequested();
            }
        }
    }

    // Events were lost: ask what is.
    private async Task ReconcileAsync(QmpConnection monitor)
    {
        await _ports.RefreshAsync(monitor, _stop.Token);
        var running = await MonitorAccess.StateAsync(monitor, _options.CommandTimeout, _stop.Token) == VmState.Running;
        if (running == _running)
        {
            return;
        }
        if (running)
        {
            _running = true;
            Signal(new VmSignal.Resumed());
        }
        else
        {
            Halted("outside");
        }
    }

    private async Task FinishAsync(string? status)
    {
        var exit = Classify(status);
        var output = _parts.Output is { } file ? Descriptors.Tail(file, OutputTailBytes) : "";
        Log.Ended(_log, _parts.Name, Run.Pid, exit.Reason, exit.Crashed, output);
        await _agent.DisposeAsync();
        try
        {
            _parts.Directory.Remove();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.DirectoryStays(_log, _parts.Name, e);
        }
        Signal(new VmSignal.Exited(exit));
        _signals.Writer.TryComplete();
        _exited.TrySetResult(exit);
    }

    private VmExit Classify(string? status)
    {
        if (_shutdownByGuest)
        {
            return new VmExit(_shutdownReason == "guest-panic", _shutdownReason == "guest-panic" ? "guest-panicked" : "guest-shutdown");
        }
        // host-signal is SIGTERM, as from `machinectl terminate`: somebody with the right to do so ended it.
        if (_killAsked || _shutdownReason is "host-qmp-quit" or "host-signal")
        {
            return new VmExit(false, "killed");
        }
        return new VmExit(true, status ?? "unseen");
    }
}
