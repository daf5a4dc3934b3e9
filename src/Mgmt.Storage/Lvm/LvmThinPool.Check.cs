using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Comparing the thin pool with the records.</summary>
internal sealed partial class LvmThinPool
{
    public async Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        var findings = ImmutableArray.CreateBuilder<PoolFinding>();
        if (_facts.ThinPool is not { IsDamaged: false })
        {
            findings.Add(new PoolFinding("damaged", _thinPool, "the thin pool is missing or lvm2 says that it is damaged", false));
        }
        var named = known.Where(volume => volume.Vid is not null).Select(volume => volume.Vid!.Value).ToHashSet();
        foreach (var other in _facts.Others)
        {
            findings.Add(new PoolFinding("unknown", other.Name, "a logical volume that is not ours", false));
        }
        foreach (var vid in _facts.ById.Keys.Where(vid => !named.Contains(vid)))
        {
            findings.Add(new PoolFinding("unknown", vid.Value, "a volume that no record names", false));
        }
        foreach (var volume in known.Where(volume => volume.Vid is { } vid && !inUse.Contains(vid)))
        {
            // One look says all of a volume that nothing is left to do for.
            if (_facts.Of(IdOf(volume)) is { Run: null, IsDirect: false } found && !IsUnfinished(found))
            {
                CheckContent(volume, found, findings);
                continue;
            }
            findings.AddRange(await ChangeAsync(volume, (_, _) => CheckAsync(volume, mend, cancellation), cancellation));
        }
        return findings.ToImmutable();
    }

    private async Task<ImmutableArray<PoolFinding>> CheckAsync(VolumeRecord volume, bool mend, CancellationToken cancellation)
    {
        var (vid, findings) = (IdOf(volume), ImmutableArray.CreateBuilder<PoolFinding>());
        if (IsUnfinished(_facts.Of(vid)))
        {
            var mended = mend && await MendAsync(vid, cancellation);
            await LookAsync(cancellation);
            findings.Add(new PoolFinding("leftover", vid.Value, "an operation was interrupted", mended && !IsUnfinished(_facts.Of(vid))));
        }
        if (_facts.Of(vid) is { } found && (found.Run is not null || found.IsDirect))
        {
            findings.Add(new PoolFinding("unclean", vid.Value, "its last run was not stopped; what it wrote is kept or dropped as at a stop", mend));
            if (mend)
            {
                await StopUncleanAsync(volume, found, cancellation);
            }
        }
        CheckContent(volume, _facts.Of(vid), findings);
        return findings.ToImmutable();
    }

    private async Task StopUncleanAsync(VolumeRecord volume, LvmVolume found, CancellationToken cancellation)
    {
        if (found.Run is not null && volume.SaveOnStop)
        {
            await SaveRunAsync(volume, found, cancellation);
            return;
        }
        await (found.Run is { } run
            ? _lvm.RemoveAsync(run.Name, cancellation)
            : _lvm.UntagAsync(found.Content!.Name, LvmTags.Direct, cancellation));
        await LookAsync(cancellation);
    }

    private static void CheckContent(VolumeRecord volume, LvmVolume found, ImmutableArray<PoolFinding>.Builder findings)
    {
        var vid = volume.Vid!.Value.Value;
        if (found.Content is not { } content)
        {
            if (volume is { SaveOnStop: true, SnapOnStart: false })
            {
                findings.Add(new PoolFinding("missing", vid, "there is no logical volume with what it holds", false));
            }
            return;
        }
        // lvm2 rounds sizes up to whole extents.
        if (Whole(volume.SizeBytes, content) != content.SizeBytes)
        {
            findings.Add(new PoolFinding("size", vid, $"the disk has {content.SizeBytes} bytes, the record says {volume.SizeBytes}", false) { SizeBytes = content.SizeBytes });
        }
        if (found.All.Any(part => part.IsDamaged))
        {
            findings.Add(new PoolFinding("damaged", vid, "lvm2 says that it is damaged", false));
        }
    }

    private static bool IsUnfinished(LvmVolume found) => found.New is not null || found.Old is not null || (found.Run is { } run && LvmTags.IsCommit(run, out _));
}
