namespace Mgmt.Api;

/// <summary>Suspends VMs and wakes them.</summary>
public sealed class VmSleeper(LifecycleServices services, VmStopper stopper)
{
    /// <summary>
    /// Has the guest suspend itself to memory; one without an agent, or whose agent cannot, is paused instead, and <see cref="ResumeAsync"/> lets either go on.
    /// ERRORS: QubesVMNotStartedError, QubesVMNotRunningError.
    /// </summary>
    public async Task SuspendAsync(VmName name, CancellationToken cancellation)
    {
        if (!await AskGuestAsync(name, cancellation))
        {
            await stopper.PauseAsync(name, cancellation);
        }
    }

    /// <summary>Wakes a suspended VM, or lets a paused one go on. ERRORS: QubesVMNotSuspendedError, QubesVMNotStartedError.</summary>
    public async Task ResumeAsync(VmName name, CancellationToken cancellation)
    {
        var vm = services.Vm(name);
        switch (vm.Status.State)
        {
            case VmState.Suspended:
                // What follows is told when the guest is awake.
                await services.Sessions.Get(name).Vm.WakeUpAsync(cancellation);
                break;
            case VmState.Paused:
                await stopper.UnpauseAsync(name, cancellation);
                break;
            case VmState.Halted:
                throw new MgmtException(ErrorCode.QubesVMNotStartedError, "Domain is powered off: '%s'", name.Value);
            default:
                throw new MgmtException(ErrorCode.QubesVMNotSuspendedError, "Domain is not suspended: '%s'", name.Value);
        }
    }

    /// <summary>False when there is nobody to ask, or the guest cannot.</summary>
    private async Task<bool> AskGuestAsync(VmName name, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        if (services.Vm(name).Status.State != VmState.Running || services.Sessions.Find(name) is not { Vm.Agent.State: AgentState.Ready } session)
        {
            return false;
        }
        try
        {
            await session.Vm.Agent.SendAsync("guest-suspend-ram", null, cancellation);
            return true;
        }
        catch (MgmtException error) when (error.Code != ErrorCode.MgmtCancelledError)
        {
            return false;
        }
    }
}
