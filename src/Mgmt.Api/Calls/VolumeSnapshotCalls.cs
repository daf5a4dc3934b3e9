namespace Mgmt.Api;

/// <summary>Revisions of the volumes of VMs.</summary>
public sealed class VolumeSnapshotCalls(LifecycleServices services, VolumeOperations volumes) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.volume.ListSnapshots", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.None, CallDialects.Both,
            "The revisions of a volume, oldest first.", List) { Returns = "`<revision>\\n`" },
        new("vm.volume.SnapshotInfo", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("`<revision>`"), CallDialects.Mgmt,
            "What is known of a revision.", Info) { Returns = "`id= time= name= pinned= cause= quiesced= size=`, a line each" },
        new("vm.volume.Snapshot", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"),
            PayloadRule.Optional("lines `name=<name>`, `pin=yes`, `quiesce=yes`, `no` or `try`"), CallDialects.Mgmt,
            "Keeps what a volume holds now as a revision, also of a running VM.", Snapshot) { Returns = "`<revision>`" },
        new("vm.volume.Revert", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("`<revision>`"), CallDialects.Both,
            "Gives a volume of a halted VM what a revision holds; what it held is kept.", Revert),
        new("vm.volume.RemoveSnapshot", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("`<revision>` or `<revision> force`"), CallDialects.Mgmt,
            "Removes a revision; a pinned one only with force.", Remove),
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation)
    {
        var (_, volume) = Address(call).In(call.State);
        return new(Content.Lines(services.Pools.Get(volume.Pool).Revisions(volume).Select(revision => revision.Id)));
    }

    private ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation)
    {
        var (_, volume) = Address(call).In(call.State);
        return new(Content.Text(VolumeInfo.OfRevision(services.Pools.Get(volume.Pool), volume, RevisionId.Parse(call.PayloadText("revision")))));
    }

    private async ValueTask<ReadOnlyMemory<byte>> Snapshot(CallContext call, CancellationToken cancellation)
    {
        var wish = VolumePayloads.Snapshot(call.PayloadText("payload"));
        return Content.Text((await volumes.SnapshotAsync(Address(call), wish, call.Id, cancellation)).Id.Value);
    }

    private async ValueTask<ReadOnlyMemory<byte>> Revert(CallContext call, CancellationToken cancellation)
    {
        await volumes.RevertAsync(Address(call), RevisionId.Parse(call.PayloadText("revision")), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        var (revision, force) = VolumePayloads.RevisionToRemove(call.PayloadText("revision"));
        await volumes.RemoveRevisionAsync(Address(call), revision, force, cancellation);
        return Content.Empty;
    }

    private static VolumeAddress Address(CallContext call) => VolumeAddress.Of(call.Target, call.Argument);
}
