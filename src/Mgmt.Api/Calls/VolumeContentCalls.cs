namespace Mgmt.Api;

/// <summary>What the volumes of VMs hold: imports and clones.</summary>
public sealed class VolumeContentCalls(VolumeOperations volumes) : ICallGroup
{
    internal const int SizeDigits = 20;

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.volume.Import", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Streamed("raw data, exactly the volume's size"), CallDialects.Both,
            "Fills a volume of a halted VM.", Import),
        new("vm.volume.ImportWithSize", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Streamed("`<bytes>\\n<raw data>`", SizeDigits), CallDialects.Both,
            "Fills a volume of a halted VM and gives it the size of the data.", ImportWithSize),
        new("vm.volume.Clear", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.None, CallDialects.Both,
            "Empties a volume of a halted VM.", Clear),
        new("vm.volume.CloneFrom", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.None, CallDialects.Both,
            "A token with which `vm.volume.CloneTo` copies this volume, once, within ten minutes.", CloneFrom) { Returns = "`<token>`" },
        new("vm.volume.CloneTo", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.Required("`<token>`"), CallDialects.Both,
            "Fills a volume of a halted VM with what the token's volume holds, and gives it its size.", CloneTo),
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Import(CallContext call, CancellationToken cancellation)
    {
        await volumes.ImportAsync(Address(call), call.PayloadStream!, null, call.Id, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> ImportWithSize(CallContext call, CancellationToken cancellation)
    {
        var size = Parse.Number(call.StreamHead ?? throw new MgmtException(ErrorCode.ProtocolError, "expected a first line of at most 20 digits"), "Volume size", allowNegative: true);
        await volumes.ImportAsync(Address(call), call.PayloadStream!, size, call.Id, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Clear(CallContext call, CancellationToken cancellation)
    {
        await volumes.ClearAsync(Address(call), cancellation);
        return Content.Empty;
    }

    private ValueTask<ReadOnlyMemory<byte>> CloneFrom(CallContext call, CancellationToken cancellation) => new(Content.Text(volumes.CloneFrom(Address(call))));

    private async ValueTask<ReadOnlyMemory<byte>> CloneTo(CallContext call, CancellationToken cancellation)
    {
        await volumes.CloneToAsync(Address(call), call.PayloadText("token").Trim(), call.Id, cancellation);
        return Content.Empty;
    }

    private static VolumeAddress Address(CallContext call) => VolumeAddress.Of(call.Target, call.Argument);
}
