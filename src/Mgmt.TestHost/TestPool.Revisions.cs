using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Revisions. SOURCE: docs/storage.md, "Revisions".</summary>
internal sealed partial class TestPool
{
    public ImmutableArray<Revision> Revisions(VolumeRecord volume)
    {
        lock (_gate)
        {
            return volume.Vid is { } vid && _volumes.TryGetValue(vid, out var entry) ? [.. entry.Revisions.Select(kept => kept.Revision)] : [];
        }
    }

    public async Task<Revision> SnapshotAsync(VolumeRecord volume, RevisionTraits traits, CancellationToken cancellation)
    {
        Begin(volume, FaultsOf(volume).Snapshot, needsSpace: true);
        await WorkAsync(volume, null, 0, cancellation);
        lock (_gate)
        {
            var entry = GetStopped(volume);
            return Keep(volume, entry, entry.Content, traits);
        }
    }

    public Task<ISnapshotTarget> OpenSnapshotTargetAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now<ISnapshotTarget>(
        () =>
        {
            Begin(volume, FaultsOf(volume).Snapshot, needsSpace: true);
            lock (_gate)
            {
                var entry = Get(volume);
                var content = entry.Content.Changed(entry.RunSizeBytes ?? entry.Content.SizeBytes);
                return new TestSnapshotTarget(traits => Complete(volume, content, traits));
            }
        },
        cancellation);

    public Task RemoveRevisionAsync(VolumeRecord volume, RevisionId revision, bool force, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            VidOf(volume);
            Fail(FaultsOf(volume).RemoveRevision);
            lock (_gate)
            {
                var entry = Get(volume);
                var kept = Find(volume, entry, revision);
                if (kept.Revision.Traits.Pinned && !force)
                {
                    throw new MgmtException(ErrorCode.StoragePoolException, "Revision %s of volume %s is pinned", revision.Value, VidOf(volume).Value);
                }
                entry.Revisions.Remove(kept);
            }
        },
        cancellation);

    public async Task<long> RevertAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation)
    {
        Begin(volume, FaultsOf(volume).Revert, needsSpace: true);
        lock (_gate)
        {
            Find(volume, GetStopped(volume), revision);
        }
        await WorkAsync(volume, null, 0, cancellation);
        lock (_gate)
        {
            var entry = GetStopped(volume);
            var kept = Find(volume, entry, revision);
            // What a caller replaces by hand is kept even where nothing is kept by itself.
            Replace(volume, entry, kept.Content, RevisionCause.Revert);
            return kept.Content.SizeBytes;
        }
    }

    private Revision Complete(VolumeRecord volume, TestContent content, RevisionTraits traits)
    {
        NeedSpace(volume);
        lock (_gate)
        {
            return Keep(volume, Get(volume), content, traits);
        }
    }

    private Revision Keep(VolumeRecord volume, TestVolume entry, TestContent content, RevisionTraits traits)
    {
        if (!Contents.Any(held => held.Id == content.Id) && UsedBytes > _sizeBytes - content.Bytes)
        {
            throw NoSpace();
        }
        var revision = entry.Keep(content, traits, _time.GetUtcNow());
        entry.Prune(KeepOf(volume));
        return revision;
    }

    private (Revision Revision, TestContent Content) Find(VolumeRecord volume, TestVolume entry, RevisionId? id)
    {
        var at = id is { } wanted ? entry.Revisions.FindIndex(kept => kept.Revision.Id == wanted) : entry.Revisions.Count - 1;
        return at >= 0
            ? entry.Revisions[at]
            : throw new MgmtException(ErrorCode.QubesVolumeRevisionNotFoundError, "Volume %s has no revision '%s'", VidOf(volume).Value, id?.Value ?? "newest");
    }
}
