namespace Mgmt.Api;

/// <summary>VMs made as copies of others. SOURCE: docs/storage.md, "Cloning a VM".</summary>
public sealed class VmCloneCalls(VmCloner cloner) : ICallGroup
{
    private const string Dom0 = "dom0";

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.Clone", CallTarget.Vm, CallAccess.Write, CallScope.Host, ArgumentRule.None, PayloadRule.Required("`name=<name>`"), CallDialects.Mgmt,
            "Makes a VM that is a copy of this one. The policy is also asked for vm.volume.CloneFrom of each volume and for vm.Create.", (call, token) => Clone(call, pools: false, token))
        {
            IsCancellable = true, MoreQuestions = call => Questions(call, "vm.Create."),
        },
        new("vm.CloneInPool", CallTarget.Vm, CallAccess.Write, CallScope.Host, ArgumentRule.None,
            PayloadRule.Required("`name=<name> pool=<pool>` or `… pool:<volume>=<pool>`"), CallDialects.Mgmt,
            "The same with its volumes in the pools named. The policy is asked for vm.CreateInPool.", (call, token) => Clone(call, pools: true, token))
        {
            IsCancellable = true, MoreQuestions = call => Questions(call, "vm.CreateInPool."),
        },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Clone(CallContext call, bool pools, CancellationToken cancellation)
    {
        var wish = VmClonePayload.Parse(call.PayloadText("payload"), pools);
        await cloner.CloneAsync(new(call.Target.Name, wish.Name, wish.Pool, wish.PoolOf), call.Source, call.Id, cancellation);
        return Content.Empty;
    }

    /// <summary>A copy gives away what its source holds, and makes a VM. A source that does not exist has nothing to ask about.</summary>
    private static IEnumerable<CallQuestion> Questions(CallContext call, string create)
    {
        if (Targets.FindVm(call.State, Targets.Asked(call.State, call.Request)) is not { Class: not VmClass.AdminVM } source)
        {
            return [];
        }
        return source.Volumes.Keys.Select(volume => new CallQuestion("vm.volume.CloneFrom", volume.Wire(), source.Name.Value))
            .Append(new(create + source.Class, source.Property("template") ?? "", Dom0));
    }
}
