using System.IO.Pipelines;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Filling a volume from outside. The bytes are a raw disk, whatever they look like.</summary>
internal sealed partial class FilePool
{
    public async Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        RequireKept(volume);
        RequireSize(volume, sizeBytes);
        // Before the bytes come, so that nobody sends gigabytes for nothing; and again before they count.
        await ChangeAsync(volume, (files, token) => RequireStoppedAsync(volume, files, token), cancellation);
        try
        {
            using var raw = _directory.NewTemp();
            await ReceiveAsync(data, raw.Path, sizeBytes, progress, cancellation);
            await ChangeAsync(volume, (files, token) => PutAsync(volume, files, raw.Path, sizeBytes, token), cancellation);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Translate(failure);
        }
    }

    private async Task PutAsync(VolumeRecord volume, VolumeFiles files, string raw, long sizeBytes, CancellationToken cancellation)
    {
        await RequireStoppedAsync(volume, files, cancellation);
        using var temp = _directory.NewTemp();
        Replace(volume, files, await _format.AdoptRawAsync(raw, temp.Path, sizeBytes, cancellation), KeptAs(volume));
    }

    private async Task ReceiveAsync(PipeReader data, string raw, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        await using var file = new ReceivedFile(raw, sizeBytes, direct: _format.KeepsRaw);
        long received = 0;
        while (true)
        {
            var read = await data.ReadAsync(cancellation);
            if (read.IsCanceled)
            {
                throw new OperationCanceledException("the sender went away");
            }
            if (read.Buffer.Length > sizeBytes - received)
            {
                data.AdvanceTo(read.Buffer.End);
                throw new MgmtException(ErrorCode.ProtocolError, "too much data (expected %s bytes)", $"{sizeBytes}");
            }
            await file.AppendAsync(read.Buffer);
            received += read.Buffer.Length;
            data.AdvanceTo(read.Buffer.End);
            progress?.Report(new CopyProgress(received, sizeBytes));
            if (read.IsCompleted)
            {
                break;
            }
        }
        if (received != sizeBytes)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "not enough data (copied %s bytes, expected %s bytes)", $"{received}", $"{sizeBytes}");
        }
        await file.CompleteAsync();
    }
}
