using System.Collections.Immutable;
using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>
/// Putting a new logical volume in the place of the content. The tag mgmt:commit, set in one transaction, decides; what follows is the same after
/// a crash, and is done when the pool is opened, before anybody uses the volume:
/// <code>
/// lvchange new +mgmt:commit=CAUSE
/// kept:      lvchange NAME +traits;  lvrename NAME NAME-revID
/// not kept:  lvrename NAME NAME-old; lvremove NAME-old (later, when somebody has it open)
/// lvrename new NAME
/// </code>
/// </summary>
internal sealed partial class LvmThinPool
{
    private async Task ReplaceAsync(Vid vid, LogicalVolume replacement, RevisionCause? kept, CancellationToken cancellation)
    {
        if (!LvmTags.IsCommit(replacement, out _))
        {
            // Ids are not given out again, also when what bears the last one's mark is not kept.
            var last = _facts.Of(vid).LastId;
            await _lvm.TagAsync(replacement.Name, [LvmTags.Commit(kept), .. last > 0 ? [LvmTags.Last(last)] : ImmutableArray<string>.Empty], cancellation);
            await LookAsync(cancellation);
        }
        await FinishAsync(vid, cancellation);
    }

    /// <summary>Finishes a replacement that was decided. False when there is none.</summary>
    private async Task<bool> FinishAsync(Vid vid, CancellationToken cancellation)
    {
        var (names, found) = (LvmNames.Of(vid), _facts.Of(vid));
        RevisionCause? kept = null;
        var replacement = new[] { found.New, found.Run }.FirstOrDefault(volume => volume is not null && LvmTags.IsCommit(volume, out kept));
        if (replacement is null)
        {
            return false;
        }
        if (found.Content is { } content)
        {
            await PutAsideAsync(names, found, content, kept, cancellation);
        }
        await _lvm.RenameAsync(replacement.Name, names.Content, cancellation);
        await RemoveOldAsync(names, cancellation);
        await LookAsync(cancellation);
        return true;
    }

    private async Task PutAsideAsync(LvmNames names, LvmVolume found, LogicalVolume content, RevisionCause? kept, CancellationToken cancellation)
    {
        if (kept is { } cause)
        {
            if (!LvmTags.HasTraits(content))
            {
                await _lvm.TagAsync(content.Name, LvmTags.Of(RevisionTraits.Of(cause), _time.GetUtcNow()), cancellation);
            }
            await _lvm.RenameAsync(content.Name, names.Revision(NextId(found)), cancellation);
            return;
        }
        if (found.Old is { } old)
        {
            await _lvm.RemoveAsync(old.Name, cancellation);
        }
        await _lvm.RenameAsync(content.Name, names.Old, cancellation);
    }

    // Somebody may still read it: then it goes when the pool is next checked or opened.
    private async Task RemoveOldAsync(LvmNames names, CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        if (_facts.ById.Values.Any(volume => volume.Old?.Name == names.Old))
        {
            await RemoveIfUnusedAsync(names.Old, cancellation);
        }
    }

    private async Task<bool> RemoveIfUnusedAsync(string name, CancellationToken cancellation)
    {
        try
        {
            await _lvm.RemoveAsync(name, cancellation);
            return true;
        }
        catch (MgmtException failure) when (failure.Code == ErrorCode.StoragePoolException)
        {
            return false;
        }
    }

    /// <summary>Takes back or finishes what was left of a volume; true when there was something.</summary>
    private async Task<bool> MendAsync(Vid vid, CancellationToken cancellation)
    {
        var found = _facts.Of(vid);
        var mended = await FinishAsync(vid, cancellation);
        found = mended ? _facts.Of(vid) : found;
        foreach (var left in new[] { found.New, found.Old }.OfType<LogicalVolume>())
        {
            mended |= await RemoveIfUnusedAsync(left.Name, cancellation);
        }
        return mended;
    }

    /// <summary>Removes the oldest revisions that are not pinned beyond what is kept; one that cannot go now goes another time.</summary>
    private async Task<LvmVolume> PruneAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        var vid = IdOf(volume);
        var keep = RevisionsToKeep(volume);
        if (keep > 0)
        {
            foreach (var revision in _facts.Of(vid).Revisions.Where(revision => !revision.Traits.Pinned).SkipLast(keep))
            {
                await RemoveIfUnusedAsync(LvmNames.Of(vid).Revision(revision.Id), cancellation);
            }
            await LookAsync(cancellation);
        }
        return _facts.Of(vid);
    }

    private static RevisionId NextId(LvmVolume found) => RevisionId.Parse((found.LastId + 1).ToString(CultureInfo.InvariantCulture));
}
