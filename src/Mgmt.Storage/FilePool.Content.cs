using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Other content for a stopped volume, and reading what it holds.</summary>
internal sealed partial class FilePool
{
    private const int SectorBytes = 512;

    public Task<OpenVolume> ExportAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation)
    {
        RequireKept(volume);
        return OpenAsync(volume, (files, token) => ExportCoreAsync(volume, files, revision, token), cancellation);
    }

    public async Task<long> CloneAsync(VolumeRecord target, OpenVolume source, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        RequireKept(target);
        if (source.Layers.IsEmpty)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s cannot be copied from a pool without disks", IdOf(target).Value);
        }
        await ChangeAsync(target, (files, token) => CloneCoreAsync(target, files, source, progress, token), cancellation);
        return source.SizeBytes;
    }

    public Task ClearAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        RequireKept(volume);
        return ChangeAsync(volume, (files, token) => ClearCoreAsync(volume, files, token), cancellation);
    }

    public async Task ResizeAsync(VolumeRecord volume, long sizeBytes, bool inUse, CancellationToken cancellation)
    {
        RequireSize(volume, sizeBytes);
        if (!volume.Writable)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot resize volume %s: it is read-only", IdOf(volume).Value);
        }
        await ChangeAsync(volume, (files, token) => inUse ? ResizeInUse(volume, files, sizeBytes) : ResizeStoppedAsync(volume, files, sizeBytes, token), cancellation);
    }

    private async Task<OpenVolume> ExportCoreAsync(VolumeRecord volume, VolumeFiles files, RevisionId? revision, CancellationToken cancellation)
    {
        await RecoverAsync(IdOf(volume), files, cancellation);
        var file = revision is { } id ? FindRevision(volume, files, id).File : files.Image;
        if (revision is null && File.Exists(files.Direct))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before importing its data", IdOf(volume).Value);
        }
        if (!File.Exists(file))
        {
            throw NotFound(IdOf(volume));
        }
        var open = Opened(volume, (file, false)) with { ReadOnly = true };
        _exports.Add(open.Layers[0].File);
        return open;
    }

    private async Task CloneCoreAsync(VolumeRecord target, VolumeFiles files, OpenVolume source, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        await RequireStoppedAsync(target, files, cancellation);
        using var temp = _directory.NewTemp();
        // An image of this pool that has two names never changes: where blocks cannot be shared, the whole file can.
        var shared = source.Layers is [var only] && _exports.Gave(only.File)
            && (FileClone.Try(only.File, temp.Path) || _directory.TryLinkOpen(only.File, temp.Path));
        if (!shared)
        {
            await _format.CopyAsync(source, temp.Path, progress, cancellation);
        }
        Replace(target, files, temp.Path, KeptAs(target));
        progress?.Report(new CopyProgress(source.SizeBytes, source.SizeBytes));
    }

    private async Task ClearCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        await RequireStoppedAsync(volume, files, cancellation);
        var sizeBytes = File.Exists(files.Image) ? SizeOf(IdOf(volume), files.Image) : volume.SizeBytes;
        using var temp = _directory.NewTemp();
        await _format.CreateAsync(temp.Path, sizeBytes, cancellation);
        Replace(volume, files, temp.Path, KeptAs(volume));
    }

    // QEMU grows what the run writes, an image or a file of its own; below it nothing has to grow.
    private Task ResizeInUse(VolumeRecord volume, VolumeFiles files, long sizeBytes)
    {
        var written = File.Exists(files.Run) ? files.Run : files.Image;
        if (!File.Exists(written))
        {
            throw NotFound(IdOf(volume));
        }
        var now = volume.Ephemeral ? SizeOfEncrypted(IdOf(volume), written) : SizeOf(IdOf(volume), written, isRun: true);
        return sizeBytes >= now
            ? Task.CompletedTask
            : throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before it can shrink", IdOf(volume).Value);
    }

    private async Task ResizeStoppedAsync(VolumeRecord volume, VolumeFiles files, long sizeBytes, CancellationToken cancellation)
    {
        if (!volume.SaveOnStop)
        {
            return;
        }
        await RequireStoppedAsync(volume, files, cancellation);
        if (!File.Exists(files.Image))
        {
            // An origin and snapshot that never ran: it begins as its source.
            return;
        }
        var now = SizeOf(IdOf(volume), files.Image);
        if (sizeBytes > now && IsOnlyOurs(files.Image))
        {
            _directory.WillChange(files.Image);
            await _format.ResizeAsync(files.Image, sizeBytes, shrink: false, cancellation);
            PoolDirectory.SyncFile(files.Image);
        }
        else if (sizeBytes != now)
        {
            // Shrinking too: cut off in the middle it would be neither the old content nor the new.
            using var image = Opened(volume, (files.Image, false));
            using var temp = _directory.NewTemp();
            await _format.CopyAsync(image, temp.Path, null, cancellation);
            await _format.ResizeAsync(temp.Path, sizeBytes, sizeBytes < now, cancellation);
            Replace(volume, files, temp.Path, keptAs: null);
        }
    }

    /// <summary>As what the content of a volume is kept that a caller replaces; null: it is not.</summary>
    private RevisionCause? KeptAs(VolumeRecord volume) => RevisionsToKeep(volume) > 0 ? RevisionCause.Import : null;

    private async Task RequireStoppedAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        await RecoverAsync(IdOf(volume), files, cancellation);
        if (!volume.SnapOnStart && !File.Exists(files.Image))
        {
            throw NotFound(IdOf(volume));
        }
        if (File.Exists(files.Run) || File.Exists(files.Direct))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s is not cleanly stopped", IdOf(volume).Value);
        }
    }

    private void RequireKept(VolumeRecord volume)
    {
        if (volume.Ephemeral)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s is ephemeral: nothing of it is kept", IdOf(volume).Value);
        }
        if (!volume.SaveOnStop)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s keeps nothing", IdOf(volume).Value);
        }
    }

    private void RequireSize(VolumeRecord volume, long sizeBytes)
    {
        if (sizeBytes <= 0 || sizeBytes % SectorBytes != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The size of volume %s, %s bytes, is not a multiple of 512 above 0", IdOf(volume).Value, $"{sizeBytes}");
        }
    }
}
