namespace Mgmt.Api;

/// <summary>The volumes of VMs.</summary>
public sealed class VolumeCalls(LifecycleServices services) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.volume.List", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.OneEntry("volume"), PayloadRule.None, CallDialects.Both,
            "The volumes of a VM.", List) { Returns = "`<volume>\\n`" },
        new("vm.volume.Info", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("volume"), PayloadRule.None, CallDialects.Both,
            "A volume's properties; sizes in bytes.", Info) { Returns = "`<property>=<value>\\n`" },
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => new(call.Argument.Length > 0
        ? Content.Lines([Find(call).Name.Wire()])
        : Content.Lines(call.Target.Volumes.Keys.Select(v => v.Wire())));

    private ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation)
    {
        var volume = Find(call);
        return new(Content.Text(VolumeInfo.Text(services, call.State, call.Target, volume, call.IsMgmt)));
    }

    private static VolumeRecord Find(CallContext call) =>
        VolumeNames.TryParse(call.Argument) is { } name && call.Target.Volumes.TryGetValue(name, out var volume)
            ? volume
            : throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume of %s: '%s'", call.Target.Name.Value, call.Argument);
}
