using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>Raw files on a file system that can share blocks (btrfs, XFS): a run begins as a clone of its image and stands alone.</summary>
internal sealed class RawReflinkFormat(QemuImg qemuImg) : IImageFormat
{
    private const int SectorBytes = 512;

    public string Name => "raw";

    public string Suffix => ".img";

    public bool RunStandsOnBase => false;

    public bool KeepsRaw => true;

    public Task CreateAsync(string file, long sizeBytes, CancellationToken cancellation)
    {
        SetLength(file, sizeBytes);
        return Task.CompletedTask;
    }

    public Task BeginRunAsync(string file, string below, long sizeBytes, CancellationToken cancellation)
    {
        Clone(below, file);
        SetLength(file, sizeBytes);
        return Task.CompletedTask;
    }

    public Task SaveRunAsync(string run, string below, string file, long sizeBytes, CancellationToken cancellation)
    {
        Clone(run, file);
        return Task.CompletedTask;
    }

    public Task CommitAsync(string run, string below, long sizeBytes, CancellationToken cancellation) =>
        throw new NotSupportedException("a raw run stands alone");

    public Task<string> AdoptRawAsync(string raw, string file, long sizeBytes, CancellationToken cancellation) => Task.FromResult(raw);

    public async Task CopyAsync(OpenVolume source, string file, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        if (source.Layers is [{ Format: "raw" } only] && FileStatus.Of(only.File).IsFile && FileClone.Try(only.File, file))
        {
            return;
        }
        await qemuImg.ConvertAsync(source, Name, file, progress, cancellation);
    }

    public Task ResizeAsync(string file, long sizeBytes, bool shrink, CancellationToken cancellation)
    {
        SetLength(file, sizeBytes);
        return Task.CompletedTask;
    }

    public long SizeOf(SafeFileHandle file, Vid volume, bool isRun) => RandomAccess.GetLength(file) is var length && length % SectorBytes == 0
        ? length
        : throw new MgmtException(ErrorCode.StoragePoolException, "The image of volume %s is damaged or not one this pool made", volume.Value);

    private static void Clone(string from, string to)
    {
        if (!FileClone.Try(from, to))
        {
            throw new IOException($"the file system does not share blocks any more: {from}");
        }
    }

    private static void SetLength(string file, long sizeBytes)
    {
        using var handle = PoolDirectory.Open(file, write: true);
        RandomAccess.SetLength(handle, sizeBytes);
    }
}
