namespace Mgmt.Api;

/// <summary>
/// Volumes by the id they have in a pool. SHAPE of a payload: the id, and what the same call of a VM takes, after a space (Import: after a line
/// feed). Each also asks the policy for that call on the VM; of an id that no VM has, as of a VM that does not exist.
/// </summary>
public sealed class PoolVolumeCalls(LifecycleServices services, VolumeOperations volumes) : ICallGroup
{
    private const int VidMax = 255;
    // No VM can have this name.
    private const string NoVm = "none";

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("pool.volume.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.None, CallDialects.Both,
            "The ids of the volumes in a pool.", List) { Returns = "`<vid>\\n`" },
        Row("Info", CallAccess.Read, "`<vid>`", "A volume's properties; sizes in bytes.", Info) with { Returns = "`<property>=<value>\\n`" },
        Row("ListSnapshots", CallAccess.Read, "`<vid>`", "The revisions of a volume, oldest first.", ListSnapshots) with { Returns = "`<revision>\\n`" },
        Row("Snapshot", CallAccess.Write, "`<vid>`", "Keeps what a volume holds now as a revision, also of a running VM.", Snapshot) with { Returns = "`<revision>`" },
        Row("Revert", CallAccess.Write, "`<vid> <revision>`", "Gives a volume of a halted VM what a revision holds; what it held is kept.", Revert),
        Row("Resize", CallAccess.Write, "`<vid> <bytes>` or `<vid> <bytes> force`", "Gives a volume another size; a running guest sees it. Smaller only with force, and halted.", Resize),
        Row("RemoveSnapshot", CallAccess.Write, "`<vid> <revision>` or `<vid> <revision> force`", "Removes a revision; a pinned one only with force.", RemoveSnapshot),
        Row("Import", CallAccess.Write, "", "Fills a volume of a halted VM.", Import) with { Payload = PayloadRule.Streamed("`<vid>\\n<raw data>`, exactly the volume's size", VidMax) },
    ];

    private static CallRow Row(string name, CallAccess access, string payload, string summary, CallHandler handler) =>
        new("pool.volume." + name, CallTarget.Dom0, access, CallScope.Host, ArgumentRule.Required("pool"), PayloadRule.Required(payload), CallDialects.Mgmt, summary, handler)
        {
            MoreQuestions = call => [Question(call, "vm.volume." + name)],
        };

    private static CallQuestion Question(CallContext call, string service)
    {
        var vid = TryVid(call);
        return vid is not null && TryPool(call) is { } pool && VolumeAddress.Find(call.State, pool, vid) is { } address
            ? new(service, address.Volume.Wire(), address.Vm.Value)
            : new(service, VolumeNames.TryParse(vid?.Split('/')[^1] ?? "")?.Wire() ?? "", NoVm);
    }

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => new(Content.Lines(services.Pools.Get(Pool(call)).Volumes));

    private ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation)
    {
        var (vm, volume) = Address(call, out _).In(call.State);
        return new(Content.Text(VolumeInfo.Text(services, call.State, vm, volume, call.IsMgmt)));
    }

    private ValueTask<ReadOnlyMemory<byte>> ListSnapshots(CallContext call, CancellationToken cancellation)
    {
        var (_, volume) = Address(call, out _).In(call.State);
        return new(Content.Lines(services.Pools.Get(volume.Pool).Revisions(volume).Select(revision => revision.Id)));
    }

    private async ValueTask<ReadOnlyMemory<byte>> Snapshot(CallContext call, CancellationToken cancellation)
    {
        var made = await volumes.SnapshotAsync(Address(call, out _), new SnapshotWish(null, false, QuiesceWish.Try), call.Id, cancellation);
        return Content.Text(made.Id.Value);
    }

    private async ValueTask<ReadOnlyMemory<byte>> Revert(CallContext call, CancellationToken cancellation)
    {
        await volumes.RevertAsync(Address(call, out var rest), RevisionId.Parse(rest!), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Resize(CallContext call, CancellationToken cancellation)
    {
        var address = Address(call, out var rest);
        var (size, force) = VolumePayloads.Size(rest!);
        await volumes.ResizeAsync(address, size, force, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> RemoveSnapshot(CallContext call, CancellationToken cancellation)
    {
        var address = Address(call, out var rest);
        var (revision, force) = VolumePayloads.RevisionToRemove(rest!);
        await volumes.RemoveRevisionAsync(address, revision, force, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Import(CallContext call, CancellationToken cancellation)
    {
        await volumes.ImportAsync(Address(call, out _), call.PayloadStream!, null, call.Id, cancellation);
        return Content.Empty;
    }

    /// <summary>The volume, and what stands after its id; null where the call takes nothing there. ERRORS: ProtocolError, QubesValueError, QubesPoolNotFoundError, QubesVolumeNotFoundError.</summary>
    private static VolumeAddress Address(CallContext call, out string? rest)
    {
        var pool = Pool(call);
        var isStream = call.Row.Payload.Kind == PayloadKind.Stream;
        var text = isStream ? call.StreamHead ?? throw new MgmtException(ErrorCode.ProtocolError, "expected a first line with the id of a volume") : call.PayloadText("payload");
        var takesMore = call.Row.Payload.Shape!.Contains("<vid> ", StringComparison.Ordinal);
        var space = takesMore ? text.IndexOf(' ', StringComparison.Ordinal) : -1;
        if (takesMore && space < 0)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "expected payload (%s)", call.Row.Payload.Shape);
        }
        rest = space < 0 ? null : text[(space + 1)..];
        var vid = Vid.Parse(space < 0 ? text : text[..space]);
        return VolumeAddress.Find(call.State, pool, vid.Value)
            ?? throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume in pool %s: '%s'", pool.Value, vid.Value);
    }

    private static PoolName Pool(CallContext call)
    {
        var name = PoolName.Parse(call.Argument);
        return call.State.Pools.ContainsKey(name) ? name : throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", call.Argument);
    }

    /// <summary>What the policy is asked about is looked at before the caller is known to be allowed anything: nothing is refused here.</summary>
    private static PoolName? TryPool(CallContext call)
    {
        foreach (var name in call.State.Pools.Keys)
        {
            if (name.Value == call.Argument)
            {
                return name;
            }
        }
        return null;
    }

    private static string? TryVid(CallContext call)
    {
        var bytes = call.Payload.Bytes.Span;
        var end = bytes.IndexOf((byte)' ');
        return call.Row.Payload.Kind == PayloadKind.Stream ? call.StreamHead : System.Text.Encoding.Latin1.GetString(end < 0 ? bytes : bytes[..end]);
    }
}
