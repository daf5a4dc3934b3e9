using System.Text;

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
        var pool = services.Pools.TryGet(volume.Pool);
        var kernel = volume.Name == VolumeName.Kernel ? services.Properties.Text(call.State, call.Target, "kernel") : null;
        var vid = kernel ?? volume.Vid?.Value ?? "";
        var text = new StringBuilder();
        text.Append("pool=").Append(volume.Pool.Value).Append('\n');
        text.Append("vid=").Append(vid).Append('\n');
        text.Append("size=").Append(volume.SizeBytes).Append('\n');
        text.Append("usage=").Append(vid.Length == 0 ? 0 : pool?.UsageBytes(Vid.Parse(vid)) ?? 0).Append('\n');
        text.Append("rw=").Append(Parse.Text(volume.Writable)).Append('\n');
        if (call.IsMgmt)
        {
            text.Append("internal=").Append(Parse.Text(call.Target.Features.GetValueOrDefault("internal") is { Length: > 0 })).Append('\n');
        }
        text.Append("source=").Append(volume.Source?.Value ?? "").Append('\n');
        text.Append("save_on_stop=").Append(Parse.Text(volume.SaveOnStop)).Append('\n');
        text.Append("snap_on_start=").Append(Parse.Text(volume.SnapOnStart)).Append('\n');
        text.Append("revisions_to_keep=").Append(volume.RevisionsToKeep ?? PoolRevisions(call.State, volume)).Append('\n');
        text.Append("ephemeral=").Append(Parse.Text(volume.Ephemeral)).Append('\n');
        text.Append("is_outdated=").Append(Parse.Text(pool?.IsOutdated(volume) ?? false)).Append('\n');
        return new(Content.Text(text.ToString()));
    }

    internal static int PoolRevisions(HostState state, VolumeRecord volume) =>
        int.TryParse(state.Pools.GetValueOrDefault(volume.Pool)?.Config.GetValueOrDefault("revisions_to_keep"), out var keep) ? keep : 1;

    private static VolumeRecord Find(CallContext call) =>
        VolumeNames.TryParse(call.Argument) is { } name && call.Target.Volumes.TryGetValue(name, out var volume)
            ? volume
            : throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume of %s: '%s'", call.Target.Name.Value, call.Argument);
}
