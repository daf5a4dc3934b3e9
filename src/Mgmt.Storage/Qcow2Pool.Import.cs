using System.Buffers;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>Filling a volume from outside. The bytes are a raw disk, whatever they look like.</summary>
internal sealed partial class Qcow2Pool
{
    private const int SectorBytes = 512;

    public async Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        CheckImport(volume, sizeBytes);
        // Before the bytes come, so that nobody sends gigabytes for nothing; and again before they count.
        await ChangeAsync(volume, (files, _) => Task.Run(() => RequireStopped(volume, files), cancellation), cancellation);
        string? raw = null;
        try
        {
            raw = _directory.NewTemp(".raw");
            await ReceiveAsync(data, raw, sizeBytes, cancellation);
            await ChangeAsync(volume, (files, token) => PutAsync(volume, files, raw, sizeBytes, token), cancellation);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Translate(failure);
        }
        finally
        {
            if (raw is not null)
            {
                File.Delete(raw);
            }
        }
    }

    private async Task PutAsync(VolumeRecord volume, VolumeFiles files, string raw, long sizeBytes, CancellationToken cancellation)
    {
        RequireStopped(volume, files);
        await PublishNewAsync(files.Image, durable: true, temp => _qemuImg.ConvertRawAsync(raw, temp, sizeBytes, cancellation));
    }

    private void CheckImport(VolumeRecord volume, long sizeBytes)
    {
        var vid = IdOf(volume).Value;
        if (!volume.SaveOnStop)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot import into volume %s: it keeps nothing", vid);
        }
        if (sizeBytes != volume.SizeBytes)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "Volume %s has %s bytes, not %s", vid, $"{volume.SizeBytes}", $"{sizeBytes}");
        }
        if (sizeBytes % SectorBytes != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The size of volume %s, %s bytes, is not a multiple of 512", vid, $"{sizeBytes}");
        }
    }

    private void RequireStopped(VolumeRecord volume, VolumeFiles files)
    {
        if (!volume.SnapOnStart && !File.Exists(files.Image))
        {
            throw NotFound(IdOf(volume));
        }
        if (File.Exists(files.Run) || File.Exists(files.Commit) || File.Exists(files.Direct))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot import: %s is not cleanly stopped", IdOf(volume).Value);
        }
    }

    private static async Task ReceiveAsync(PipeReader data, string raw, long sizeBytes, CancellationToken cancellation)
    {
        using var file = PoolDirectory.Open(raw, write: true);
        RandomAccess.SetLength(file, sizeBytes);
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
            await WriteAsync(file, read.Buffer, received, cancellation);
            received += read.Buffer.Length;
            data.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }
        if (received != sizeBytes)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "not enough data (copied %s bytes, expected %s bytes)", $"{received}", $"{sizeBytes}");
        }
    }

    // The file is all zeros to begin with: zeros are not written and take no space.
    private static async Task WriteAsync(SafeFileHandle file, ReadOnlySequence<byte> bytes, long offset, CancellationToken cancellation)
    {
        foreach (var part in bytes)
        {
            if (part.Span.ContainsAnyExcept((byte)0))
            {
                await RandomAccess.WriteAsync(file, part, offset, cancellation);
            }
            offset += part.Length;
        }
    }
}
