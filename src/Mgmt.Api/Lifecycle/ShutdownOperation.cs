using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// The ladder of a shutdown: the guest agent is asked, then the power button is pressed, each step an event. At the time-out the VM
/// goes on: only Kill ends it by force.
/// </summary>
internal sealed class ShutdownOperation
{
    private static readonly TimeSpan StepDeadline = TimeSpan.FromSeconds(10);

    private readonly LifecycleServices _services;
    private readonly VmSession _session;
    private readonly TimeSpan _timeout;

    internal ShutdownOperation(LifecycleServices services, VmSession session, TimeSpan timeout)
    {
        _services = services;
        _session = session;
        _timeout = timeout;
        Result = Task.Run(ClimbAsync);
    }

    /// <summary>Completes when the VM is down and put away (true) or the time is up (false).</summary>
    internal Task<bool> Result { get; }

    private async Task<bool> ClimbAsync()
    {
        var began = _services.Clock.GetTimestamp();
        if (_session.Vm.Agent.State == AgentState.Ready)
        {
            await StepAsync("guest-agent");
            if (await TryAsync(c => _session.Vm.Agent.SendAsync("guest-shutdown", """{"mode":"powerdown"}""", c)) && await DownWithinAsync(_timeout / 2))
            {
                return true;
            }
        }
        await StepAsync("acpi");
        await TryAsync(_session.Vm.PressPowerButtonAsync);
        if (await DownWithinAsync(_timeout - _services.Clock.GetElapsedTime(began)))
        {
            return true;
        }
        if (await _services.Store.ApplyAsync(GiveUp, CancellationToken.None))
        {
            return false;
        }
        await _session.Handled;
        return true;
    }

    /// <summary>False when it has ended at the last moment and only has to be put away.</summary>
    private bool GiveUp(IStateTransaction change)
    {
        if (_session.HasEnded)
        {
            return false;
        }
        if (change.State.Find(_session.Name)?.Status.State == VmState.Halting)
        {
            change.SetState(_session, VmState.Running);
        }
        change.Emit(MgmtEvent.Of(_session.Name, "domain-shutdown-failed", ("reason", $"did not shut down within {_timeout.TotalSeconds:0} s")));
        return true;
    }

    private Task StepAsync(string step) => _services.Store.ApplyAsync(change =>
    {
        if (!_session.HasEnded)
        {
            change.Emit(MgmtEvent.Of(_session.Name, "domain-shutdown-step", ("step", step)));
        }
    }, CancellationToken.None);

    /// <summary>A step that fails, however it does, or hangs is followed by the next one.</summary>
    private async Task<bool> TryAsync(Func<CancellationToken, Task> step)
    {
        using var limit = new CancellationTokenSource(StepDeadline < _timeout / 2 ? StepDeadline : _timeout / 2, _services.Clock);
        try
        {
            await step(limit.Token).WaitAsync(limit.Token);
            return true;
        }
        catch (Exception error)
        {
            Log.ShutdownStepFailed(_services.Log, _session.Name, error.Message);
            return false;
        }
    }

    private async Task<bool> DownWithinAsync(TimeSpan limit)
    {
        if (limit <= TimeSpan.Zero)
        {
            return _session.Handled.IsCompleted;
        }
        try
        {
            await _session.Handled.WaitAsync(limit, _services.Clock, CancellationToken.None);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
