using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// Opens logical volumes and moves bytes into new ones. A new one reads as zeros, so zeros are not written and take no space.
/// </summary>
internal sealed class LvmCopier(ICommandRunner runner, string directory, ILogger logger)
{
    private const int BlockBytes = 1 << 20;
    internal OpenVolume Open(VolumeName volume, LogicalVolume device, bool write) =>
        new(volume, !write, device.SizeBytes, [new ImageLayer(OpenDevice(device.Name, write), "raw", !write)]);

    /// <summary>Opens a device node. The links below /dev are udev's and lead to it.</summary>
    internal SafeFileHandle OpenDevice(string name, bool write)
    {
        var handle = Libc.Open(Path.Combine(directory, name), (write ? Libc.ReadWrite : Libc.ReadOnly) | Libc.CloseOnExec, 0);
        if (!handle.IsInvalid)
        {
            return handle;
        }
        var failure = Errno.Last();
        handle.Dispose();
        throw failure;
    }

    /// <summary>Writes exactly so many bytes, durably. ERRORS: ProtocolError.</summary>
    internal async Task ReceiveAsync(string name, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        using var device = OpenDevice(name, write: true);
        long received = 0;
        for (var completed = false; !completed;)
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
            foreach (var part in read.Buffer)
            {
                await WriteAsync(device, part, received, cancellation);
                received += part.Length;
            }
            data.AdvanceTo(read.Buffer.End);
            progress?.Report(new CopyProgress(received, sizeBytes));
            completed = read.IsCompleted;
        }
        if (received != sizeBytes)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "not enough data (copied %s bytes, expected %s bytes)", $"{received}", $"{sizeBytes}");
        }
        Sync(device);
    }

    /// <summary>Copies an export of any pool, durably.</summary>
    internal async Task CopyAsync(OpenVolume source, string name, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        using var device = OpenDevice(name, write: true);
        if (source.Layers is [{ Format: "raw" } raw])
        {
            await CopyRawAsync(raw.File, device, source.SizeBytes, progress, cancellation);
        }
        else
        {
            await ConvertAsync(source, name, cancellation);
            progress?.Report(new CopyProgress(source.SizeBytes, source.SizeBytes));
        }
        Sync(device);
    }

    private static async Task CopyRawAsync(SafeFileHandle from, SafeFileHandle to, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        var buffer = new byte[BlockBytes];
        for (long at = 0; at < sizeBytes;)
        {
            var count = await RandomAccess.ReadAsync(from, buffer.AsMemory(0, (int)Math.Min(BlockBytes, sizeBytes - at)), at, cancellation);
            if (count == 0)
            {
                throw new IOException("the source ended early");
            }
            await WriteAsync(to, buffer.AsMemory(0, count), at, cancellation);
            at += count;
            progress?.Report(new CopyProgress(at, sizeBytes));
        }
    }

    private async Task ConvertAsync(OpenVolume source, string name, CancellationToken cancellation)
    {
        var deadline = TimeSpan.FromSeconds(120 + (source.SizeBytes >> 24));
        var result = await runner.RunAsync(
            "qemu-img", ["convert", "-q", "-n", "-O", "raw", Chain(source), Path.Combine(directory, name)], deadline, cancellation);
        if (result.Status != 0)
        {
            Log.ToolFailed(logger, "qemu-img", "convert", result.Status, result.Errors);
            throw result.Errors.Contains("No space left on device", StringComparison.Ordinal)
                ? new MgmtException(ErrorCode.MgmtNoSpaceError, "No space left in the thin pool")
                : new MgmtException(ErrorCode.StoragePoolException, "qemu-img convert failed; the daemon's log says why");
        }
    }

    /// <summary>The layers as one json: name, by the descriptors that are open here: nothing is probed, and nothing that a header names is opened.</summary>
    private static string Chain(OpenVolume source)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            for (var i = 0; i < source.Layers.Length; i++)
            {
                var layer = source.Layers[i];
                json.WriteString("driver", layer.Format);
                json.WriteStartObject("file");
                json.WriteString("driver", "file");
                json.WriteString("filename", $"/proc/{Environment.ProcessId}/fd/{layer.File.DangerousGetHandle()}");
                json.WriteEndObject();
                if (i + 1 < source.Layers.Length)
                {
                    json.WriteStartObject("backing");
                }
                else if (layer.Format == "qcow2")
                {
                    json.WriteNull("backing");
                }
            }
            for (var i = 0; i < source.Layers.Length; i++)
            {
                json.WriteEndObject();
            }
        }
        return "json:" + Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static async Task WriteAsync(SafeFileHandle device, ReadOnlyMemory<byte> bytes, long offset, CancellationToken cancellation)
    {
        if (bytes.Span.ContainsAnyExcept((byte)0))
        {
            await RandomAccess.WriteAsync(device, bytes, offset, cancellation);
        }
    }

    private static void Sync(SafeFileHandle device)
    {
        if (Libc.Sync(device) != 0)
        {
            throw Errno.Last();
        }
    }
}
