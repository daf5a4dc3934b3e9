namespace Mgmt.Api;

/// <summary>Size and settings of the volumes of VMs.</summary>
public sealed class VolumeChangeCalls(VolumeOperations volumes) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.volume.Resize", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("`<bytes>` or `<bytes> force`"), CallDialects.Both,
            "Gives a volume another size; a running guest sees it. Smaller only with force, and halted.", Resize),
        new("vm.volume.Set.revisions_to_keep", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("number, -1 or more"), CallDialects.Both,
            "How many revisions of a volume are kept; -1: the VM runs on the volume itself.", SetRevisionsToKeep),
        new("vm.volume.Set.rw", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("truth value"), CallDialects.Both,
            "Whether a VM, halted now, may write a volume.", SetWritable),
        new("vm.volume.Set.ephemeral", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("truth value"), CallDialects.Both,
            "Whether a volume that keeps nothing is encrypted with a key that is thrown away; the VM is halted.", SetEphemeral),
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Resize(CallContext call, CancellationToken cancellation)
    {
        // Today's clients may send white space around the number.
        var (size, force) = VolumePayloads.Size(call.IsMgmt ? call.PayloadText("volume size") : call.PayloadText("volume size").Trim());
        await volumes.ResizeAsync(Address(call), size, force, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetRevisionsToKeep(CallContext call, CancellationToken cancellation)
    {
        await volumes.SetRevisionsToKeepAsync(Address(call), VolumePayloads.RevisionsToKeep(call.PayloadText("revisions_to_keep")), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetWritable(CallContext call, CancellationToken cancellation)
    {
        await volumes.SetWritableAsync(Address(call), Parse.Boolean(call.PayloadText("rw"), "rw"), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetEphemeral(CallContext call, CancellationToken cancellation)
    {
        await volumes.SetEphemeralAsync(Address(call), Parse.Boolean(call.PayloadText("ephemeral"), "ephemeral"), cancellation);
        return Content.Empty;
    }

    private static VolumeAddress Address(CallContext call) => VolumeAddress.Of(call.Target, call.Argument);
}
