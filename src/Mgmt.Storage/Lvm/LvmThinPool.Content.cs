using System.IO.Pipelines;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Filling, emptying, reading and resizing a volume.</summary>
internal sealed partial class LvmThinPool
{
    private const int SectorBytes = 512;
    private readonly LvmOpenExports _exports = new();

    public async Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        if (sizeBytes <= 0 || sizeBytes % SectorBytes != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The size of volume %s, %s bytes, is not a multiple of 512", IdOf(volume).Value, $"{sizeBytes}");
        }
        await FillAsync(volume, "import", sizeBytes, name => _copier.ReceiveAsync(name, data, sizeBytes, progress, cancellation), cancellation);
    }

    public Task<long> CloneAsync(VolumeRecord target, OpenVolume source, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        return _exports.UuidOf(source) is { } uuid
            ? ChangeAsync(target, (names, found) => CloneSharedAsync(target, names, found, source, uuid, progress, cancellation), cancellation)
            : FillAsync(target, "clone", source.SizeBytes, name => _copier.CopyAsync(source, name, progress, cancellation), cancellation);
    }

    /// <summary>Of an export of this pool: one thin snapshot, whatever the size. It may have been renamed since, so it is found by its UUID.</summary>
    private async Task<long> CloneSharedAsync(
        VolumeRecord target, LvmNames names, LvmVolume found, OpenVolume source, string uuid, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        RefuseEphemeral(target);
        _ = Stopped(target, found, "clone");
        var origin = _facts.ById.Values.SelectMany(volume => volume.All).FirstOrDefault(part => part.Uuid == uuid)
            ?? throw new MgmtException(ErrorCode.StoragePoolException, "What volume %s is cloned from was removed meanwhile", IdOf(target).Value);
        await _lvm.SnapshotAsync(origin.Name, names.New, readOnly: false, [LvmTags.Ours], cancellation);
        progress?.Report(new CopyProgress(source.SizeBytes, source.SizeBytes));
        return await PutNewAsync(target, RevisionCause.Import, cancellation);
    }

    public Task ClearAsync(VolumeRecord volume, CancellationToken cancellation) =>
        FillAsync(volume, "clear", volume.SizeBytes, _ => Task.CompletedTask, cancellation);

    public Task<OpenVolume> ExportAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation) => ChangeAsync(volume, async (_, found) =>
    {
        if (revision is null && found.IsDirect)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before importing its data", IdOf(volume).Value);
        }
        var device = revision is { } id ? KeptAs(found, id) : found.Content ?? throw NotFound(IdOf(volume));
        await ActivatedAsync(device, cancellation);
        return _exports.Track(device.Uuid, _copier.Open(volume.Name, device, write: false));
    }, cancellation);

    public Task ResizeAsync(VolumeRecord volume, long sizeBytes, bool inUse, CancellationToken cancellation) => ChangeAsync(volume, async (_, found) =>
    {
        if (sizeBytes <= 0 || sizeBytes % SectorBytes != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "A size is a positive multiple of 512 bytes, not %s", $"{sizeBytes}");
        }
        var disk = inUse ? found.Run ?? found.Content ?? throw NotFound(IdOf(volume)) : Stopped(volume, found, "resize");
        var whole = Whole(sizeBytes, disk);
        if (inUse && whole < disk.SizeBytes)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s is in use and cannot shrink", IdOf(volume).Value);
        }
        if (whole != disk.SizeBytes)
        {
            await _lvm.ResizeAsync(disk.Name, whole, whole < disk.SizeBytes, cancellation);
        }
    }, cancellation);

    /// <summary>Makes a new content of that size, has it filled and puts it in place of the old one; whatever fails before that takes it away again.</summary>
    private Task<long> FillAsync(VolumeRecord volume, string what, long sizeBytes, Func<string, Task> fill, CancellationToken cancellation) => ChangeAsync(volume, async (names, found) =>
    {
        RefuseEphemeral(volume);
        _ = Stopped(volume, found, what);
        await _lvm.CreateAsync(names.New, sizeBytes, [LvmTags.Ours], cancellation);
        try
        {
            await fill(names.New);
        }
        catch
        {
            await RemoveIfUnusedAsync(names.New, CancellationToken.None);
            throw;
        }
        return await PutNewAsync(volume, RevisionCause.Import, cancellation);
    }, cancellation);

    private static long Whole(long sizeBytes, LogicalVolume disk) => (sizeBytes + disk.ExtentBytes - 1) / disk.ExtentBytes * disk.ExtentBytes;
}
