namespace Mgmt.Api;

/// <summary>Starting, stopping, pausing. SOURCE: docs/lifecycle.md.</summary>
public sealed class VmPowerCalls(VmStarter starter, VmStopper stopper) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.Start", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Starts a VM; replies when its virtual processors run. What runs already is left as it is.", Start),
        new("vm.Shutdown", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.Optional("`wait`, `force` or `force+wait`"), PayloadRule.None, CallDialects.Both,
            "Asks a VM to shut down; with wait, replies when it is down.", Shutdown) { IsCancellable = true },
        new("vm.Pause", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Stops a VM's virtual processors.", Pause),
        new("vm.Unpause", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Lets a paused VM go on.", Unpause),
        new("vm.Kill", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Ends a VM by force; waits for no other operation on it.", Kill),
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Start(CallContext call, CancellationToken cancellation)
    {
        await starter.StartAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Shutdown(CallContext call, CancellationToken cancellation)
    {
        var (force, wait) = call.Argument switch
        {
            "" => (false, false),
            "wait" => (false, true),
            "force" => (true, false),
            "force+wait" => (true, true),
            _ => throw new MgmtException(ErrorCode.ProtocolError, "the argument is one of wait, force, force+wait"),
        };
        await stopper.ShutdownAsync(call.Target.Name, wait, force, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Pause(CallContext call, CancellationToken cancellation)
    {
        await stopper.PauseAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Unpause(CallContext call, CancellationToken cancellation)
    {
        await stopper.UnpauseAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Kill(CallContext call, CancellationToken cancellation)
    {
        await stopper.KillAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }
}
