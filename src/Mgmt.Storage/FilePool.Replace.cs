using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>
/// Giving a volume new content. The new image, complete and on the disk, gets a name of its own (next): that one step is what happens or does not. Then
/// what it was made from goes, the image it replaces becomes a revision, and it takes the image's name; cut off, this is finished before the volume is used.
/// </summary>
internal sealed partial class FilePool
{
    /// <summary>Finishes what was cut off after its deciding step. The volume's gate is held.</summary>
    private async Task RecoverAsync(Vid vid, VolumeFiles files, CancellationToken cancellation)
    {
        if (File.Exists(files.Commit))
        {
            await FinishCommitAsync(vid, files, cancellation);
        }
        foreach (var (keptAs, next) in files.Nexts)
        {
            if (File.Exists(next))
            {
                FinishReplace(files, next, keptAs);
            }
        }
    }

    /// <summary>Replaces the content with a finished temporary file, or with a second name of an image. ERRORS: all leave the old content, but of a run: that is kept for later.</summary>
    private void Replace(VolumeRecord volume, VolumeFiles files, string content, RevisionCause? keptAs)
    {
        var next = files.Next(keptAs);
        var isOfRun = File.Exists(files.Run);
        _directory.Publish(content, next);
        try
        {
            FinishReplace(files, next, keptAs);
        }
        catch (IOException) when (!isOfRun)
        {
            _directory.Delete(durable: true, next);
            throw;
        }
        DropOldRevisions(volume, files);
    }

    private void FinishReplace(VolumeFiles files, string next, RevisionCause? keptAs)
    {
        if (keptAs is { } cause && FileStatus.Of(files.Image) is { } image)
        {
            // Cut off after this step, the newest revision is what we are about to make.
            var newest = RevisionFile.List(files).LastOrDefault();
            if (newest?.Traits.Cause != cause || FileStatus.Of(newest.File)?.Id != image.Id)
            {
                Keep(files, RevisionTraits.Of(cause));
            }
        }
        _directory.Delete(durable: true, files.Run, files.Base, files.Direct);
        _directory.Rename(next, files.Image);
    }

    /// <summary>Makes the image a revision by a second name.</summary>
    private RevisionFile Keep(VolumeFiles files, RevisionTraits traits)
    {
        var revision = NewRevision(files, traits);
        _directory.Link(files.Image, revision.File, durable: true);
        ForgetGone(files);
        return revision;
    }

    private RevisionFile NewRevision(VolumeFiles files, RevisionTraits traits)
    {
        var number = Math.Max(RevisionFile.List(files).LastOrDefault()?.Number ?? 0, files.LastGone().Number) + 1;
        // As the file's name will say it: whole milliseconds.
        var now = DateTimeOffset.FromUnixTimeMilliseconds(_time.GetUtcNow().ToUnixTimeMilliseconds());
        return new RevisionFile(RevisionFile.NameOf(files, number, now, traits), number, now, traits);
    }

    // A newer revision is there: ids below it are not given out anyway.
    private void ForgetGone(VolumeFiles files)
    {
        while (files.LastGone().File is { } marker)
        {
            _directory.Delete(durable: true, marker);
        }
    }

    private void DropOldRevisions(VolumeRecord volume, VolumeFiles files)
    {
        var keep = RevisionsToKeep(volume);
        if (keep <= 0)
        {
            return;
        }
        foreach (var revision in RevisionFile.List(files).Where(revision => !revision.Traits.Pinned).SkipLast(keep))
        {
            Drop(files, revision);
        }
    }

    private void Drop(VolumeFiles files, RevisionFile revision)
    {
        if (RevisionFile.List(files).Last().Number == revision.Number)
        {
            _directory.Mark(files.Gone(revision.Number));
        }
        _directory.Delete(durable: true, revision.File);
    }

    /// <summary>Writes a finished run into its image. Nothing reads the image from the rename to the end of this.</summary>
    private async Task FinishCommitAsync(Vid vid, VolumeFiles files, CancellationToken cancellation)
    {
        await _format.CommitAsync(files.Commit, files.Image, SizeOf(vid, files.Commit, isRun: true), cancellation);
        PoolDirectory.SyncFile(files.Image);
        _directory.Delete(durable: true, files.Commit, files.Base);
    }
}
