using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>qcow2: any file system; a run is an overlay. Where the file system can share blocks, whole images are not copied.</summary>
internal sealed class Qcow2Format(QemuImg qemuImg) : IImageFormat
{
    public string Name => "qcow2";

    public string Suffix => ".qcow2";

    public bool RunStandsOnBase => true;

    public bool KeepsRaw => false;

    public Task CreateAsync(string file, long sizeBytes, CancellationToken cancellation) => qemuImg.CreateAsync(file, sizeBytes, cancellation);

    public Task BeginRunAsync(string file, string below, long sizeBytes, CancellationToken cancellation) =>
        qemuImg.CreateOverlayAsync(file, Path.GetFileName(below), sizeBytes, cancellation);

    public Task SaveRunAsync(string run, string below, string file, long sizeBytes, CancellationToken cancellation) =>
        FileClone.Try(below, file)
            ? qemuImg.CommitAsync(run, file, sizeBytes, cancellation)
            : qemuImg.ConvertAsync([new(Name, run), new(Name, below)], Name, file, sizeBytes, null, cancellation);

    public Task CommitAsync(string run, string below, long sizeBytes, CancellationToken cancellation) => qemuImg.CommitAsync(run, below, sizeBytes, cancellation);

    public async Task<string> AdoptRawAsync(string raw, string file, long sizeBytes, CancellationToken cancellation)
    {
        await qemuImg.ConvertAsync([new("raw", raw)], Name, file, sizeBytes, null, cancellation);
        return file;
    }

    public async Task CopyAsync(OpenVolume source, string file, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        if (source.Layers is [{ Format: "qcow2" } only] && Qcow2Header.IsPlain(only.File) && FileClone.Try(only.File, file))
        {
            return;
        }
        await qemuImg.ConvertAsync(source, Name, file, progress, cancellation);
    }

    public Task ResizeAsync(string file, long sizeBytes, bool shrink, CancellationToken cancellation) => qemuImg.ResizeAsync(Name, file, sizeBytes, shrink, cancellation);

    public long SizeOf(SafeFileHandle file, Vid volume, bool isRun) => Qcow2Header.Read(file, volume, isRun).SizeBytes;
}
