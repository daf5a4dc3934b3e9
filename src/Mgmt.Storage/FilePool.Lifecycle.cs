using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Making, starting, stopping and removing. SOURCE: docs/storage.md, "A run".</summary>
internal sealed partial class FilePool
{
    private async Task CreateCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        RequireEmptyAtStart(volume);
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
        await PublishNewAsync(files.Image, durable: true, temp => _format.CreateAsync(temp, volume.SizeBytes, cancellation));
    }

    private Task RemoveCoreAsync(VolumeFiles files)
    {
        _directory.Delete(durable: true, [.. RevisionFile.List(files).Select(revision => revision.File), .. files.All]);
        ForgetGone(files);
        _directory.RemoveEmptyParents(files.Image);
        return Task.CompletedTask;
    }

    private async Task<OpenVolume> StartCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        RequireEmptyAtStart(volume);
        if (volume.SaveOnStop)
        {
            await RecoverAsync(IdOf(volume), files, cancellation);
            if (File.Exists(files.Run))
            {
                Log.UncleanVolume(_logger, Record.Name.Value, IdOf(volume).Value);
                await StopCoreAsync(volume, files, cancellation);
            }
        }
        if (volume.SnapOnStart)
        {
            var source = SourceOf(volume);
            using var held = await HoldAsync(source, cancellation);
            return await StartOnAsync(volume, files, await ReadySourceAsync(source, cancellation), cancellation);
        }
        if (volume.Ephemeral)
        {
            return await StartEphemeralAsync(volume, files, cancellation);
        }
        if (!volume.SaveOnStop)
        {
            await PublishNewAsync(files.Run, durable: false, temp => _format.CreateAsync(temp, volume.SizeBytes, cancellation));
            return Opened(volume, (files.Run, volume.Writable));
        }
        if (!File.Exists(files.Image))
        {
            throw NotFound(IdOf(volume));
        }
        if (volume.Writable && RevisionsToKeep(volume) == -1 && IsOnlyOurs(files.Image))
        {
            _directory.Mark(files.Direct);
            return Opened(volume, (files.Image, true));
        }
        return await StartOnAsync(volume, files, files, cancellation);
    }

    /// <summary>A run on what the source holds now; a link to that keeps it as it is when the source gets a new image. Read-only: the link itself.</summary>
    private async Task<OpenVolume> StartOnAsync(VolumeRecord volume, VolumeFiles files, VolumeFiles source, CancellationToken cancellation)
    {
        var durable = volume.SaveOnStop;
        _directory.Delete(durable, files.Run, files.Direct);
        try
        {
            _directory.Link(source.Image, files.Base);
            var sizeBytes = SizeOf(IdOf(volume), files.Base);
            if (!volume.Writable)
            {
                return Opened(volume, (files.Base, false));
            }
            // Its own image knows its size better than the record, which may have missed a change.
            sizeBytes = volume.SnapOnStart ? Math.Max(volume.SizeBytes, sizeBytes) : sizeBytes;
            await PublishNewAsync(files.Run, durable, temp => _format.BeginRunAsync(temp, files.Base, sizeBytes, cancellation));
            return _format.RunStandsOnBase ? Opened(volume, (files.Run, true), (files.Base, false)) : Opened(volume, (files.Run, true));
        }
        catch
        {
            _directory.Delete(durable, files.Run, files.Base);
            throw;
        }
    }

    /// <summary>The source's files once its image may be built upon. Its gate is held.</summary>
    private async Task<VolumeFiles> ReadySourceAsync(Vid source, CancellationToken cancellation)
    {
        var files = _directory.Locate(source);
        await RecoverAsync(source, files, cancellation);
        if (File.Exists(files.Direct))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before a snapshot of it can start", source.Value);
        }
        return File.Exists(files.Image) ? files : throw NotFound(source);
    }

    private async Task StopCoreAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        if (volume.SaveOnStop)
        {
            await RecoverAsync(IdOf(volume), files, cancellation);
            if (File.Exists(files.Run))
            {
                await SaveAsync(volume, files, cancellation);
            }
        }
        _directory.Delete(volume.SaveOnStop, files.Run, files.Base, files.Direct);
        if (!volume.SaveOnStop)
        {
            _directory.RemoveEmptyParents(files.Image);
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
        var sizeBytes = SizeOf(vid, files.Run, isRun: _format.RunStandsOnBase);
        var keeps = RevisionsToKeep(volume) > 0;
        // Two names, the image's own and our base: nothing else needs it as it is.
        if (!keeps && _format.RunStandsOnBase && !volume.SnapOnStart && from.Links == 2 && FileStatus.Of(files.Image)?.Id == from.Id && !_exports.Holds(from.Id))
        {
            _directory.Rename(files.Run, files.Commit);
            await FinishCommitAsync(vid, files, cancellation);
            return;
        }
        using var temp = _directory.NewTemp();
        await _format.SaveRunAsync(files.Run, files.Base, temp.Path, sizeBytes, cancellation);
        Replace(volume, files, temp.Path, keeps ? RevisionCause.Stop : null);
    }

    private async Task PublishNewAsync(string target, bool durable, Func<string, Task> fill)
    {
        using var temp = _directory.NewTemp();
        await fill(temp.Path);
        _directory.Publish(temp.Path, target, durable);
    }

    private OpenVolume Opened(VolumeRecord volume, params ReadOnlySpan<(string File, bool Write)> layers)
    {
        var open = ImmutableArray.CreateBuilder<ImageLayer>(layers.Length);
        try
        {
            foreach (var (file, write) in layers)
            {
                open.Add(new ImageLayer(PoolDirectory.Open(file, write), _format.Name, !write));
            }
            var sizeBytes = _format.SizeOf(open[0].File, IdOf(volume), isRun: layers.Length > 1);
            return new OpenVolume(volume.Name, !volume.Writable, sizeBytes, open.ToImmutable());
        }
        catch
        {
            open.ToList().ForEach(layer => layer.File.Dispose());
            throw;
        }
    }

    /// <summary>Whether an image has one name and is not open for an export, so that it may be written in place.</summary>
    private bool IsOnlyOurs(string image) => FileStatus.Of(image) is { Links: 1 } status && !_exports.Holds(status.Id);

    private long SizeOf(Vid vid, string file, bool isRun = false)
    {
        using var handle = PoolDirectory.Open(file, write: false);
        return _format.SizeOf(handle, vid, isRun);
    }

    // A source of its own would wait for itself.
    private Vid SourceOf(VolumeRecord volume) => volume.Source is { } source && source != IdOf(volume)
        ? source
        : throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s starts as a snapshot and has no source", IdOf(volume).Value);
}
