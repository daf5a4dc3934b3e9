using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Revisions: immutable second names of images. SOURCE: docs/storage.md, "Revisions".</summary>
internal sealed partial class FilePool
{
    public ImmutableArray<Revision> Revisions(VolumeRecord volume) => volume.Vid is { } vid && Fresh().Find(vid) is { } facts ? facts.Revisions : [];

    public async Task<Revision> SnapshotAsync(VolumeRecord volume, RevisionTraits traits, CancellationToken cancellation)
    {
        RequireKept(volume);
        return await OpenAsync(volume, (files, token) => SnapshotCoreAsync(volume, files, traits, token), cancellation);
    }

    public async Task<ISnapshotTarget> OpenSnapshotTargetAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        RequireKept(volume);
        return await OpenAsync(volume, (files, token) => OpenTargetAsync(volume, files, token), cancellation);
    }

    public Task RemoveRevisionAsync(VolumeRecord volume, RevisionId revision, bool force, CancellationToken cancellation) =>
        ChangeAsync(volume, (files, _) => RemoveRevision(volume, files, revision, force), cancellation);

    public async Task<long> RevertAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation)
    {
        RequireKept(volume);
        long sizeBytes = 0;
        await ChangeAsync(volume, async (files, token) => sizeBytes = await RevertCoreAsync(volume, files, revision, token), cancellation);
        return sizeBytes;
    }

    /// <summary>A copy that a running VM filled becomes a revision: by its name, in one step.</summary>
    internal async Task<Revision> CompleteAsync(VolumeRecord volume, TempFile copy, RevisionTraits traits, CancellationToken cancellation) =>
        await OpenAsync(volume, (files, _) => Task.FromResult(PublishRevision(volume, files, copy, traits)), cancellation);

    private async Task<Revision> SnapshotCoreAsync(VolumeRecord volume, VolumeFiles files, RevisionTraits traits, CancellationToken cancellation)
    {
        await RequireStoppedAsync(volume, files, cancellation);
        if (!File.Exists(files.Image))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s holds nothing yet", IdOf(volume).Value);
        }
        var kept = Keep(files, traits);
        DropOldRevisions(volume, files);
        return Described(kept, SizeOf(IdOf(volume), files.Image));
    }

    private async Task<SnapshotTarget> OpenTargetAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        // What the VM has now, which may have grown since it was started.
        var now = File.Exists(files.Run) ? files.Run : File.Exists(files.Image) ? files.Image : throw NotFound(IdOf(volume));
        var temp = _directory.NewTemp();
        try
        {
            await _format.CreateAsync(temp.Path, SizeOf(IdOf(volume), now, isRun: now == files.Run && _format.RunStandsOnBase), cancellation);
            return new SnapshotTarget(this, volume, temp, new ImageLayer(PoolDirectory.Open(temp.Path, write: true), _format.Name, ReadOnly: false));
        }
        catch
        {
            temp.Dispose();
            throw;
        }
    }

    private Revision PublishRevision(VolumeRecord volume, VolumeFiles files, TempFile copy, RevisionTraits traits)
    {
        var sizeBytes = SizeOf(IdOf(volume), copy.Path);
        var revision = NewRevision(files, traits);
        _directory.Publish(copy.Path, revision.File);
        ForgetGone(files);
        DropOldRevisions(volume, files);
        return Described(revision, sizeBytes);
    }

    private Task RemoveRevision(VolumeRecord volume, VolumeFiles files, RevisionId id, bool force)
    {
        var revision = FindRevision(volume, files, id);
        if (revision.Traits.Pinned && !force)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Revision %s of volume %s is pinned", id.Value, IdOf(volume).Value);
        }
        Drop(files, revision);
        return Task.CompletedTask;
    }

    private async Task<long> RevertCoreAsync(VolumeRecord volume, VolumeFiles files, RevisionId? id, CancellationToken cancellation)
    {
        await RequireStoppedAsync(volume, files, cancellation);
        var revision = id is { } given ? FindRevision(volume, files, given) : RevisionFile.List(files).LastOrDefault() ?? throw NoRevision(volume, "newest");
        var sizeBytes = SizeOf(IdOf(volume), revision.File);
        using var temp = _directory.NewTemp();
        // Two names for one image: neither is written any more, each can go.
        _directory.Link(revision.File, temp.Path);
        // What a caller replaces by hand is kept even where nothing is kept by itself.
        Replace(volume, files, temp.Path, RevisionCause.Revert);
        return sizeBytes;
    }

    private RevisionFile FindRevision(VolumeRecord volume, VolumeFiles files, RevisionId id) =>
        RevisionFile.List(files).Find(revision => revision.Id == id) ?? throw NoRevision(volume, id.Value);

    private static Revision Described(RevisionFile revision, long sizeBytes) => new(revision.Id, revision.Created, revision.Traits, sizeBytes);

    private MgmtException NoRevision(VolumeRecord volume, string id) =>
        new(ErrorCode.QubesVolumeRevisionNotFoundError, "Volume %s has no revision '%s'", IdOf(volume).Value, id);
}
