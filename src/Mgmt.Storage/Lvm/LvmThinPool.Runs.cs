using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Making, starting, stopping and removing.</summary>
internal sealed partial class LvmThinPool
{
    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        RefuseEphemeral(volume);
        if (volume.SnapOnStart)
        {
            _ = SourceOf(volume);
        }
        else if (volume.SaveOnStop)
        {
            if (found.Content is not null || _facts.Others.Any(other => other.Name == names.Content))
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s exists already", IdOf(volume).Value);
            }
            await _lvm.CreateAsync(names.Content, volume.SizeBytes, [LvmTags.Ours], cancellation);
        }
    }, cancellation);

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, async (_, found) =>
    {
        foreach (var part in found.All)
        {
            await _lvm.RemoveAsync(part.Name, cancellation);
        }
    }, cancellation);

    public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        RefuseEphemeral(volume);
        if (found.Run is not null && volume.SaveOnStop)
        {
            Log.UncleanVolume(_logger, Record.Name.Value, IdOf(volume).Value);
            found = await SaveRunAsync(volume, found, cancellation);
        }
        if (found.Run is { } stale)
        {
            await _lvm.RemoveAsync(stale.Name, cancellation);
        }
        return volume switch
        {
            { SnapOnStart: true } => await StartSnapshotAsync(volume, names, cancellation),
            { SaveOnStop: true } => await StartSavedAsync(volume, names, found, cancellation),
            _ => await StartScratchAsync(volume, names, cancellation),
        };
    }, cancellation);

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        if (found.Run is not null && volume.SaveOnStop)
        {
            await SaveRunAsync(volume, found, cancellation);
        }
        else if (found.Run is { } run)
        {
            await _lvm.RemoveAsync(run.Name, cancellation);
        }
        else if (found.IsDirect)
        {
            await _lvm.UntagAsync(names.Content, LvmTags.Direct, cancellation);
        }
    }, cancellation);

    private async Task<OpenVolume> StartSnapshotAsync(VolumeRecord volume, LvmNames names, CancellationToken cancellation)
    {
        var vid = SourceOf(volume);
        using var held = await HoldAsync(vid, cancellation);
        await LookAsync(cancellation);
        var source = _facts.Of(vid);
        if (source.Content is not { } content)
        {
            throw NotFound(vid);
        }
        if (source.IsDirect)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s runs on itself and cannot be the source of a snapshot", vid.Value);
        }
        await ActivatedAsync(content, cancellation);
        await _lvm.SnapshotAsync(content.Name, names.Run, readOnly: false, [LvmTags.Ours, LvmTags.Base(content.Uuid)], cancellation);
        return await OpenedAsync(volume, names.Run, cancellation);
    }

    private async Task<OpenVolume> StartSavedAsync(VolumeRecord volume, LvmNames names, LvmVolume found, CancellationToken cancellation)
    {
        if (found.Content is not { } content)
        {
            throw NotFound(IdOf(volume));
        }
        await ActivatedAsync(content, cancellation);
        if (found.IsDirect)
        {
            Log.UncleanVolume(_logger, Record.Name.Value, IdOf(volume).Value);
            await _lvm.UntagAsync(names.Content, LvmTags.Direct, cancellation);
        }
        if (!volume.Writable)
        {
            return _copier.Open(volume.Name, content, write: false);
        }
        if (RevisionsToKeep(volume) == -1)
        {
            if (_exports.AnyOpen(content.Uuid))
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s is being read; it runs on itself and cannot start meanwhile", IdOf(volume).Value);
            }
            await _lvm.TagAsync(names.Content, [LvmTags.Direct], cancellation);
            return _copier.Open(volume.Name, content, write: true);
        }
        await _lvm.SnapshotAsync(content.Name, names.Run, readOnly: false, [LvmTags.Ours, LvmTags.Base(content.Uuid)], cancellation);
        return await OpenedAsync(volume, names.Run, cancellation);
    }

    private async Task<OpenVolume> StartScratchAsync(VolumeRecord volume, LvmNames names, CancellationToken cancellation)
    {
        await _lvm.CreateAsync(names.Run, volume.SizeBytes, [LvmTags.Ours], cancellation);
        return await OpenedAsync(volume, names.Run, cancellation);
    }

    private async Task<OpenVolume> OpenedAsync(VolumeRecord volume, string name, CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        var run = _facts.Of(IdOf(volume)).Run ?? throw new IOException($"lvm2 made {name} and does not list it");
        return _copier.Open(volume.Name, run, volume.Writable);
    }

    /// <summary>Makes what a run wrote the content.</summary>
    private async Task<LvmVolume> SaveRunAsync(VolumeRecord volume, LvmVolume found, CancellationToken cancellation)
    {
        var keep = RevisionsToKeep(volume);
        await ReplaceAsync(IdOf(volume), found.Run!, keep > 0 ? RevisionCause.Stop : null, cancellation);
        return await PruneAsync(volume, cancellation);
    }

    // After a boot, and of volumes that somebody switched off.
    private Task ActivatedAsync(LogicalVolume volume, CancellationToken cancellation) =>
        volume.IsActive ? Task.CompletedTask : _lvm.ActivateAsync(volume.Name, cancellation);

    private Vid SourceOf(VolumeRecord volume) => volume.Source is { } source && source != IdOf(volume)
        ? source
        : throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s starts as a snapshot and has no source", IdOf(volume).Value);

    private static void RefuseEphemeral(VolumeRecord volume)
    {
        if (volume.Ephemeral)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Ephemeral volumes are not supported by this driver");
        }
    }
}
