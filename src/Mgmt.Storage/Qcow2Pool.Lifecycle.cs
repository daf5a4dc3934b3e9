using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Making, starting, stopping and removing. SOURCE: docs/storage.md, "A run".</summary>
internal sealed partial class Qcow2Pool
{
    private async Task CreateCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        RefuseEphemeral(volume);
        if (volume.SnapOnStart)
        {
            _ = SourceOf(volume);
            return;
        }
        if (!volume.SaveOnStop)
        {
            return;
        }
        if (File.Exists(files.Image))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s exists already", IdOf(volume).Value);
        }
        await PublishNewAsync(files.Image, durable: true, temp => _qemuImg.CreateAsync(temp, volume.SizeBytes, cancellation));
    }

    private Task RemoveCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        Delete(durable: true, [.. files.All]);
        _directory.Prune(files.Image);
        return Task.CompletedTask;
    }

    private async Task<OpenVolume> StartCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        RefuseEphemeral(volume);
        if (volume.SaveOnStop && (File.Exists(files.Run) || File.Exists(files.Commit)))
        {
            Log.UncleanVolume(_logger, Record.Name.Value, IdOf(volume).Value);
            await StopCoreAsync(volume, files, cancellation);
        }
        if (volume.SnapOnStart)
        {
            var source = SourceOf(volume);
            using var held = await HoldAsync(source, cancellation);
            return await StartOverlayAsync(volume, files, await ReadySourceAsync(source, cancellation), cancellation);
        }
        if (!volume.SaveOnStop)
        {
            return await StartScratchAsync(volume, files, cancellation);
        }
        if (!File.Exists(files.Image))
        {
            throw NotFound(IdOf(volume));
        }
        return RunsOnItself(volume, files) ? StartDirect(volume, files) : await StartOverlayAsync(volume, files, files, cancellation);
    }

    // A root may become a source while it runs, and what started from it must not change. Nobody takes snapshots of other volumes
    // while they run, and writing them twice would cost time and space; but a snapshot of one that runs already keeps what it has.
    private bool RunsOnItself(VolumeRecord volume, VolumeFiles files) =>
        (volume.Name != VolumeName.Root || (volume.RevisionsToKeep ?? _revisionsToKeep) == -1)
        && FileStatus.Of(files.Image) is { Links: 1 };

    private OpenVolume StartDirect(VolumeRecord volume, VolumeFiles files)
    {
        if (volume.Writable)
        {
            _directory.Mark(files.Direct);
        }
        return Opened(volume, (files.Image, volume.Writable));
    }

    private async Task<OpenVolume> StartScratchAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        await PublishNewAsync(files.Run, durable: false, temp => _qemuImg.CreateAsync(temp, volume.SizeBytes, cancellation));
        return Opened(volume, (files.Run, volume.Writable));
    }

    /// <summary>A fresh image on top of what the source holds now; a link to that keeps it alive when the source gets a new image.</summary>
    private async Task<OpenVolume> StartOverlayAsync(VolumeRecord volume, VolumeFiles files, VolumeFiles source, CancellationToken cancellation)
    {
        Delete(volume.SaveOnStop, files.Run);
        try
        {
            _directory.Link(source.Image, files.Base);
            var sizeBytes = Math.Max(volume.SizeBytes, Qcow2Header.Read(files.Base, IdOf(volume), mayHaveBacking: false).SizeBytes);
            await PublishNewAsync(files.Run, durable: volume.SaveOnStop,
                temp => _qemuImg.CreateOverlayAsync(temp, Path.GetFileName(files.Base), sizeBytes, cancellation));
            return Opened(volume, (files.Run, volume.Writable), (files.Base, false));
        }
        catch
        {
            Delete(volume.SaveOnStop, files.Run, files.Base);
            throw;
        }
    }

    /// <summary>The source's files once its image may be built upon. Its gate is held.</summary>
    private async Task<VolumeFiles> ReadySourceAsync(Vid source, CancellationToken cancellation)
    {
        var files = _directory.Locate(source);
        if (File.Exists(files.Commit))
        {
            await FinishCommitAsync(source, files, cancellation);
        }
        if (File.Exists(files.Direct))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before a snapshot of it can start", source.Value);
        }
        return File.Exists(files.Image) ? files : throw NotFound(source);
    }

    private async Task StopCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        if (volume.SaveOnStop && File.Exists(files.Commit))
        {
            await FinishCommitAsync(IdOf(volume), files, cancellation);
        }
        else if (volume.SaveOnStop && File.Exists(files.Run))
        {
            await SaveAsync(volume, files, cancellation);
        }
        Delete(volume.SaveOnStop, files.Run, files.Base, files.Direct);
        if (!volume.SaveOnStop)
        {
            _directory.Prune(files.Image);
        }
    }

    /// <summary>Makes what a run wrote the volume's content; old or new at every moment, and repeatable until the run's files are gone.</summary>
    private async Task SaveAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        var vid = IdOf(volume);
        if (FileStatus.Of(files.Base) is not { } from)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "The last run of volume %s has lost its base", vid.Value);
        }
        var sizeBytes = RunSize(vid, files.Run);
        // Two names, the image's own and our base: no snapshot stands on it.
        if (!volume.SnapOnStart && from.Links == 2 && FileStatus.Of(files.Image)?.Id == from.Id)
        {
            PoolDirectory.Rename(files.Run, files.Commit);
            await FinishCommitAsync(vid, files, cancellation);
            return;
        }
        await PublishNewAsync(files.Image, durable: true, temp => _qemuImg.FlattenAsync(files.Run, files.Base, temp, sizeBytes, cancellation));
    }

    /// <summary>Writes a finished run into its image. Nothing reads the image from the rename to the end of this.</summary>
    private async Task FinishCommitAsync(Vid vid, VolumeFiles files, CancellationToken cancellation)
    {
        await _qemuImg.CommitAsync(files.Commit, files.Image, RunSize(vid, files.Commit), cancellation);
        PoolDirectory.SyncFile(files.Image);
        Delete(durable: true, files.Commit, files.Base);
    }

    private static long RunSize(Vid vid, string run) => Qcow2Header.Read(run, vid, mayHaveBacking: true).SizeBytes;

    private async Task PublishNewAsync(string target, bool durable, Func<string, Task> fill)
    {
        var temp = _directory.NewTemp(".qcow2");
        try
        {
            await fill(temp);
            _directory.Publish(temp, target, durable);
        }
        finally
        {
            File.Delete(temp);
        }
    }

    private OpenVolume Opened(VolumeRecord volume, params ReadOnlySpan<(string File, bool Write)> layers)
    {
        var open = ImmutableArray.CreateBuilder<ImageLayer>(layers.Length);
        try
        {
            foreach (var (file, write) in layers)
            {
                open.Add(new ImageLayer(PoolDirectory.Open(file, write), "qcow2", !write));
            }
            var header = Qcow2Header.Read(open[0].File, IdOf(volume), mayHaveBacking: layers.Length > 1);
            return new OpenVolume(volume.Name, !volume.Writable, header.SizeBytes, open.ToImmutable());
        }
        catch
        {
            open.ToList().ForEach(layer => layer.File.Dispose());
            throw;
        }
    }

    /// <summary>Deletes files that are there; durable: in this order on the disk too, so that no run is ever found without its base.</summary>
    private static void Delete(bool durable, params ReadOnlySpan<string> files)
    {
        foreach (var file in files)
        {
            if (!File.Exists(file))
            {
                continue;
            }
            File.Delete(file);
            if (durable)
            {
                PoolDirectory.SyncParent(file);
            }
        }
    }

    // A source of its own would wait for itself.
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

    private static MgmtException NotFound(Vid vid) => new(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", vid.Value);
}
