namespace Mgmt.Api;

/// <summary>
/// The ladder of a shutdown: the guest agent is asked, then the power button is pressed, each step an event. At the time-out the VM
/// goes on: only Kill ends it by force.
/// </summary>
internal sealed class ShutdownOperation
{
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
        await _services.Store.ApplyAsync(change =>
        {
            if (change.State.Find(_session.Name)?.Status.State == VmState.Halting)
            {
                change.SetState(_session.Name, VmState.Running);
            }
            change.Emit(MgmtEvent.Of(_session.Name, "domain-shutdown-failed", ("reason", $"did not shut down within {_timeout.TotalSeconds:0} s")));
        }, CancellationToken.None);
        return false;
    }

    private Task StepAsync(string step) => _services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(_session.Name, "domain-shutdown-step", ("step", step))), CancellationToken.None);

    /// <summary>A step that fails is followed by the next one.</summary>
    private static async Task<bool> TryAsync(Func<CancellationToken, Task> step)
    {
        try
        {
            await step(CancellationToken.None);
            return true;
        }
        catch (MgmtException)
        {
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
