using System.Collections.Immutable;
using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Revisions: read-only thin snapshots, complete by the one command that gives them their name.</summary>
internal sealed partial class LvmThinPool
{
    public Task<Revision> SnapshotAsync(VolumeRecord volume, RevisionTraits traits, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        var content = Stopped(volume, found, "snapshot");
        await ActivatedAsync(content, cancellation);
        var id = NextId(found);
        await _lvm.SnapshotAsync(content.Name, names.Revision(id), readOnly: true, [LvmTags.Ours, .. LvmTags.Of(traits, _time.GetUtcNow())], cancellation);
        return MadeAs(id, await PruneAsync(volume, cancellation));
    }, cancellation);

    public Task<ISnapshotTarget> OpenSnapshotTargetAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync<ISnapshotTarget>(volume, async (names, found) =>
    {
        if (!volume.SaveOnStop || (found.Run ?? found.Content) is not { } disk)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot snapshot volume %s: it keeps nothing", IdOf(volume).Value);
        }
        RequireNothingNew(volume, found);
        await _lvm.CreateAsync(names.New, disk.SizeBytes, [LvmTags.Ours], cancellation);
        return new LvmSnapshotTarget(
            new ImageLayer(_copier.OpenDevice(names.New, write: true), "raw", false),
            (traits, token) => CompleteAsync(volume, traits, token),
            () => ForgetAsync(volume));
    }, cancellation);

    public Task RemoveRevisionAsync(VolumeRecord volume, RevisionId revision, bool force, CancellationToken cancellation) => ChangeAsync(volume, async (_, found) =>
    {
        var kept = KeptAs(found, revision);
        if (!force && LvmTags.Revision(kept, revision) is { Traits.Pinned: true })
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Revision %s of volume %s is pinned; removing it needs force", revision.Value, IdOf(volume).Value);
        }
        if (found.Content is { } content && found.LastId.ToString(CultureInfo.InvariantCulture) == revision.Value)
        {
            await _lvm.TagAsync(content.Name, [LvmTags.Last(found.LastId)], cancellation);
        }
        await _lvm.RemoveAsync(kept.Name, cancellation);
    }, cancellation);

    public Task<long> RevertAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        _ = Stopped(volume, found, "revert");
        var newest = found.Revisions.IsEmpty ? (RevisionId?)null : found.Revisions[^1].Id;
        var kept = KeptAs(found, revision ?? newest ?? RevisionId.Parse("newest"));
        await ActivatedAsync(kept, cancellation);
        await _lvm.SnapshotAsync(kept.Name, names.New, readOnly: false, [LvmTags.Ours], cancellation);
        return await PutNewAsync(volume, RevisionCause.Revert, cancellation);
    }, cancellation);

    /// <summary>Makes NAME-tmp the content, keeping what was there where the volume keeps revisions; gives its size.</summary>
    private async Task<long> PutNewAsync(VolumeRecord volume, RevisionCause cause, CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        var made = _facts.Of(IdOf(volume)).New ?? throw new IOException("lvm2 made a volume and does not list it");
        await ReplaceAsync(IdOf(volume), made, RevisionsToKeep(volume) > 0 ? cause : null, cancellation);
        await PruneAsync(volume, cancellation);
        return made.SizeBytes;
    }

    private Task<Revision> CompleteAsync(VolumeRecord volume, RevisionTraits traits, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        if (found.New is not { } made)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "The snapshot of volume %s was removed meanwhile", IdOf(volume).Value);
        }
        var id = NextId(found);
        await _lvm.TagAsync(made.Name, LvmTags.Of(traits, _time.GetUtcNow()), cancellation);
        await _lvm.RenameAsync(made.Name, names.Revision(id), cancellation);
        return MadeAs(id, await PruneAsync(volume, cancellation));
    }, cancellation);

    private Task ForgetAsync(VolumeRecord volume) => ChangeAsync(
        volume, async (_, found) => found.New is { } made && await RemoveIfUnusedAsync(made.Name, CancellationToken.None), CancellationToken.None);

    /// <summary>The content of a volume that nobody writes. ERRORS: StoragePoolException.</summary>
    private LogicalVolume Stopped(VolumeRecord volume, LvmVolume found, string what)
    {
        var vid = IdOf(volume);
        if (!volume.SaveOnStop)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot %s: volume %s keeps nothing", what, vid.Value);
        }
        if (found.Run is not null || found.IsDirect)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot %s: %s is not cleanly stopped", what, vid.Value);
        }
        RequireNothingNew(volume, found);
        return found.Content ?? throw NotFound(vid);
    }

    private void RequireNothingNew(VolumeRecord volume, LvmVolume found)
    {
        if (found.New is not null)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "A snapshot or a new content of volume %s is being made", IdOf(volume).Value);
        }
    }

    private static Revision MadeAs(RevisionId id, LvmVolume found) =>
        found.Revisions.FirstOrDefault(revision => revision.Id == id) ?? throw new IOException("lvm2 made a revision and does not list it");

    private static LogicalVolume KeptAs(LvmVolume found, RevisionId revision) => found.Kept.GetValueOrDefault(revision)
        ?? throw new MgmtException(ErrorCode.QubesVolumeRevisionNotFoundError, "No such revision: '%s'", revision.Value);

    /// <summary>NAME-tmp while a running VM's disk is copied into it.</summary>
    private sealed class LvmSnapshotTarget(ImageLayer image, Func<RevisionTraits, CancellationToken, Task<Revision>> complete, Func<Task> forget) : ISnapshotTarget
    {
        private bool _done;

        public ImageLayer Image => image;

        public async Task<Revision> CompleteAsync(RevisionTraits traits, CancellationToken cancellation)
        {
            if (Libc.Sync(image.File) != 0)
            {
                throw new MgmtException(Errno.Last(), ErrorCode.StoragePoolException, "The snapshot cannot be written to its disk");
            }
            var revision = await complete(traits, cancellation);
            _done = true;
            return revision;
        }

        public async ValueTask DisposeAsync()
        {
            image.File.Dispose();
            if (!_done)
            {
                await forget();
            }
        }
    }
}
