using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Comparing the directory with the records. SOURCE: docs/storage.md, "Check".</summary>
internal sealed partial class FilePool
{
    public async Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation)
    {
        var found = ImmutableArray.CreateBuilder<PoolFinding>();
        var records = known.Where(volume => volume.Vid is not null).ToDictionary(volume => IdOf(volume));
        foreach (var volume in records.Where(volume => !inUse.Contains(volume.Key)).OrderBy(volume => volume.Key))
        {
            try
            {
                await ChangeAsync(volume.Value, (files, token) => CheckVolumeAsync(volume.Value, files, mend, found, token), cancellation);
            }
            catch (MgmtException failure)
            {
                found.Add(new PoolFinding("damaged", volume.Key.Value, failure.Message, false));
            }
        }
        try
        {
            await Task.Run(() => CheckFiles(records, mend, found), cancellation);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Translate(failure);
        }
        return found.ToImmutable();
    }

    private async Task CheckVolumeAsync(VolumeRecord volume, VolumeFiles files, bool mend, ImmutableArray<PoolFinding>.Builder found, CancellationToken cancellation)
    {
        var what = IdOf(volume).Value;
        if (Unfinished(volume, files) is var (kind, message))
        {
            if (mend)
            {
                await StopCoreAsync(volume, files, cancellation);
            }
            found.Add(new PoolFinding(kind, what, message, mend));
        }
        if (volume is { SaveOnStop: true, SnapOnStart: false } && !File.Exists(files.Image))
        {
            found.Add(new PoolFinding("missing", what, "its image is not there", false));
        }
        if (volume.SaveOnStop && File.Exists(files.Image) && SizeOf(IdOf(volume), files.Image) is var sizeBytes && sizeBytes != volume.SizeBytes)
        {
            found.Add(new PoolFinding("size", what, $"the disk has {sizeBytes} bytes, the record says {volume.SizeBytes}", false) { SizeBytes = sizeBytes });
        }
        foreach (var revision in RevisionFile.List(files))
        {
            _ = SizeOf(IdOf(volume), revision.File);
        }
    }

    private static (string Kind, string Message)? Unfinished(VolumeRecord volume, VolumeFiles files)
    {
        if (File.Exists(files.Commit) || files.Nexts.Any(next => File.Exists(next.File)))
        {
            return ("leftover", "a change was cut off after it was decided; it is finished before the volume is used");
        }
        if (volume.SaveOnStop && (File.Exists(files.Run) || File.Exists(files.Direct)))
        {
            return ("unclean", "no stop followed its last run; what that wrote is kept");
        }
        return File.Exists(files.Run) || File.Exists(files.Base) || File.Exists(files.Direct) ? ("leftover", "files of a run that is over") : null;
    }

    private void CheckFiles(Dictionary<Vid, VolumeRecord> records, bool mend, ImmutableArray<PoolFinding>.Builder found)
    {
        var leftovers = _directory.Leftovers().ToHashSet(StringComparer.Ordinal);
        if (mend)
        {
            _directory.Delete(durable: false, [.. leftovers]);
        }
        found.AddRange(leftovers.Order(StringComparer.Ordinal).Select(file => new PoolFinding("leftover", Relative(file), "a temporary file of an operation that was cut off", mend)));
        foreach (var file in _directory.Entries().Where(file => !leftovers.Contains(file) && !_directory.IsTemp(file)).Order(StringComparer.Ordinal))
        {
            if (FileStatus.Of(file) is not { } status)
            {
                continue;
            }
            if (!status.IsFile)
            {
                found.Add(new PoolFinding("unknown", Relative(file), "neither a plain file nor a directory (a symbolic link?); never followed", false));
            }
            else if (_directory.Owner(file) is not { } vid || !records.ContainsKey(vid))
            {
                found.Add(new PoolFinding("unknown", Relative(file), "no record names it", false));
            }
        }
    }

    private string Relative(string file) => Path.GetRelativePath(_directory.Root, file);
}
