namespace Mgmt.Api;

/// <summary>Putting VMs to sleep and waking them, as hosts do that suspend themselves.</summary>
public sealed class SleepCalls(VmSleeper sleeper) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.Suspend", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Has the guest suspend itself to memory; one that cannot is paused.", Suspend),
        new("vm.Resume", CallTarget.Any, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Wakes a suspended VM.", Resume),
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Suspend(CallContext call, CancellationToken cancellation)
    {
        await sleeper.SuspendAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Resume(CallContext call, CancellationToken cancellation)
    {
        await sleeper.ResumeAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }
}
