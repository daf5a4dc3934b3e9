using System.Globalization;
using System.Text;

namespace Mgmt.Api;

/// <summary>What Info, ListSnapshots and SnapshotInfo say of a volume, by its VM or by its pool. From memory, whatever it is.</summary>
internal static class VolumeInfo
{
    /// <summary>SHAPE: lines of <c>KEY=VALUE</c>; sizes in bytes.</summary>
    internal static string Text(LifecycleServices services, HostState state, VmRecord vm, VolumeRecord volume, bool isMgmt)
    {
        var pool = services.Pools.TryGet(volume.Pool);
        var kernel = volume.Name == VolumeName.Kernel ? services.Properties.Text(state, vm, "kernel") : null;
        var vid = kernel ?? volume.Vid?.Value ?? "";
        var text = new StringBuilder();
        text.Append("pool=").Append(volume.Pool.Value).Append('\n');
        text.Append("vid=").Append(vid).Append('\n');
        text.Append("size=").Append(volume.SizeBytes).Append('\n');
        text.Append("usage=").Append(vid.Length == 0 ? 0 : pool?.UsageBytes(Vid.Parse(vid)) ?? 0).Append('\n');
        text.Append("rw=").Append(Parse.Text(volume.Writable)).Append('\n');
        if (isMgmt)
        {
            text.Append("internal=").Append(Parse.Text(vm.Features.GetValueOrDefault("internal") is { Length: > 0 })).Append('\n');
        }
        text.Append("source=").Append(volume.Source?.Value ?? "").Append('\n');
        text.Append("save_on_stop=").Append(Parse.Text(volume.SaveOnStop)).Append('\n');
        text.Append("snap_on_start=").Append(Parse.Text(volume.SnapOnStart)).Append('\n');
        text.Append("revisions_to_keep=").Append(volume.RevisionsToKeep ?? PoolRevisions(state, volume)).Append('\n');
        text.Append("ephemeral=").Append(Parse.Text(volume.Ephemeral)).Append('\n');
        text.Append("is_outdated=").Append(Parse.Text(pool?.IsOutdated(volume) ?? false)).Append('\n');
        return text.ToString();
    }

    /// <summary>SHAPE: <c>id time name pinned cause quiesced size</c>, a line <c>KEY=VALUE</c> each; time in UTC. ERRORS: QubesVolumeRevisionNotFoundError.</summary>
    internal static string OfRevision(IStoragePool pool, VolumeRecord volume, RevisionId id)
    {
        var revision = pool.Revisions(volume).FirstOrDefault(kept => kept.Id == id)
            ?? throw new MgmtException(ErrorCode.QubesVolumeRevisionNotFoundError, "Volume %s has no revision '%s'", volume.Vid?.Value ?? "", id.Value);
        var time = revision.Created.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        return string.Create(CultureInfo.InvariantCulture,
            $"id={id.Value}\ntime={time}\nname={revision.Traits.Name}\npinned={Parse.Text(revision.Traits.Pinned)}\ncause={Wire(revision.Traits.Cause)}\nquiesced={Wire(revision.Traits.Quiesced)}\nsize={revision.SizeBytes}\n");
    }

    private static int PoolRevisions(HostState state, VolumeRecord volume) =>
        int.TryParse(state.Pools.GetValueOrDefault(volume.Pool)?.Config.GetValueOrDefault("revisions_to_keep"), out var keep) ? keep : 1;

    private static string Wire(RevisionCause cause) => cause.ToString().ToLowerInvariant();

    private static string Wire(Quiesced quiesced) => quiesced == Quiesced.TimedOut ? "timed-out" : quiesced.ToString().ToLowerInvariant();
}
