using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>
/// qemu-img, which does all the work on image formats. Formats and backing files are always said, in a json: name, so that
/// nothing is probed and nothing that a header names is opened. ERRORS of all: MgmtNoSpaceError, StoragePoolException,
/// MgmtTimeoutError, MgmtUnavailableError.
/// </summary>
internal sealed class QemuImg(string tool, Action<string> step, ILogger logger, TimeProvider time)
{
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(30);
    private readonly ChildProcess _process = new(tool, logger, time);

    /// <summary>An image file and its format.</summary>
    internal readonly record struct Layer(string Format, string File, bool IsDevice = false);

    /// <summary>An empty qcow2 image.</summary>
    internal Task CreateAsync(string file, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Short, null, cancellation, "create", "-q", "-f", "qcow2", file, Text(sizeBytes));

    /// <summary>
    /// An empty LUKS image, which takes about two seconds. The key goes over by standard input. False: qemu-img could not measure how long its key derivation
    /// takes, which happens where processor time is accounted coarsely, and has removed the file; the next try may do better.
    /// </summary>
    internal async Task<bool> TryCreateEncryptedAsync(string file, long sizeBytes, VolumeKey key, CancellationToken cancellation)
    {
        // The key is random: nothing is gained by a slow derivation. What takes longer is measured better.
        string[] arguments = ["create", "-q", "-f", "luks", "--object", "secret,id=key,file=/proc/self/fd/0", "-o", "key-secret=key,iter-time=10,hash-alg=sha512", file, Text(sizeBytes)];
        var (status, output) = await StartAsync(Short, null, key.Text, cancellation, arguments);
        if (status != 0 && output.Contains("Unable to get accurate CPU usage", StringComparison.Ordinal))
        {
            return false;
        }
        Require(status, output, arguments[0]);
        return true;
    }

    /// <summary>A qcow2 image on top of another, which is not opened.</summary>
    internal Task CreateOverlayAsync(string file, string baseName, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Short, null, cancellation, "create", "-q", "-f", "qcow2", "-u", "-b", baseName, "-F", "qcow2", file, Text(sizeBytes));

    /// <summary>An image and what is below it, the top first, as one image that stands alone; runs of zeros take no space.</summary>
    internal Task ConvertAsync(ReadOnlySpan<Layer> chain, string format, string file, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation) =>
        RunAsync(Long(sizeBytes), progress is null ? null : text => Report(text, sizeBytes, progress), cancellation,
            "convert", progress is null ? "-q" : "-p", "-O", format, Chain(chain), file);

    /// <summary>As above, of open files of this process.</summary>
    internal Task ConvertAsync(OpenVolume source, string format, string file, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        Layer[] chain = [.. source.Layers.Select(layer => new Layer(
            layer.Format,
            string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{layer.File.DangerousGetHandle()}"),
            FileStatus.Of(layer.File).IsBlockDevice))];
        return ConvertAsync(chain, format, file, source.SizeBytes, progress, cancellation);
    }

    /// <summary>Writes what an image holds into the one below, both qcow2. Cut off, it can be done again: the view through the top stays the same all the time.</summary>
    internal Task CommitAsync(string top, string below, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Long(sizeBytes), null, cancellation, "commit", "-q", "-d", Chain([new("qcow2", top), new("qcow2", below)]));

    /// <summary>Another size for an image that nobody uses.</summary>
    internal Task ResizeAsync(string format, string file, long sizeBytes, bool shrink, CancellationToken cancellation) =>
        RunAsync(Long(sizeBytes), null, cancellation, ["resize", "-q", "-f", format, .. shrink ? (string[])["--shrink"] : [], file, Text(sizeBytes)]);

    // Two minutes and the time that a slow disk (16 MiB/s) takes to copy everything.
    private static TimeSpan Long(long sizeBytes) => TimeSpan.FromSeconds(120 + (sizeBytes >> 24));

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    // "    (12.50/100%)\r", again and again.
    private static void Report(string text, long sizeBytes, IProgress<CopyProgress> progress)
    {
        var end = text.LastIndexOf("/100%)", StringComparison.Ordinal);
        var start = end < 0 ? -1 : text.LastIndexOf('(', end);
        if (start >= 0 && double.TryParse(text.AsSpan(start + 1, end - start - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent))
        {
            progress.Report(new CopyProgress((long)(sizeBytes / 100.0 * Math.Min(percent, 100)), sizeBytes));
        }
    }

    private static string Chain(ReadOnlySpan<Layer> layers)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            for (var i = 0; i < layers.Length; i++)
            {
                if (i > 0)
                {
                    json.WriteStartObject("backing");
                }
                WriteImage(json, layers[i]);
            }
            // A header's backing file is not opened even if it is there.
            if (layers[^1].Format == "qcow2")
            {
                json.WriteNull("backing");
            }
            for (var i = 0; i < layers.Length; i++)
            {
                json.WriteEndObject();
            }
        }
        return "json:" + Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void WriteImage(Utf8JsonWriter json, Layer layer)
    {
        json.WriteString("driver", layer.Format);
        json.WriteStartObject("file");
        json.WriteString("driver", layer.IsDevice ? "host_device" : "file");
        json.WriteString("filename", layer.File);
        json.WriteEndObject();
    }

    private async Task RunAsync(TimeSpan deadline, Action<string>? heard, CancellationToken cancellation, params string[] arguments)
    {
        var (status, output) = await StartAsync(deadline, heard, default, cancellation, arguments);
        Require(status, output, arguments[0]);
    }

    private Task<(int Status, string Output)> StartAsync(
        TimeSpan deadline, Action<string>? heard, ReadOnlyMemory<byte> input, CancellationToken cancellation, string[] arguments)
    {
        step("qemu-img " + arguments[0]);
        return _process.RunAsync(arguments, deadline, heard, input, cancellation);
    }

    private void Require(int status, string output, string command)
    {
        if (status == 0)
        {
            return;
        }
        Log.ToolFailed(logger, tool, command, status, output);
        throw output.Contains("No space left on device", StringComparison.Ordinal) || output.Contains("Disk quota exceeded", StringComparison.Ordinal)
            ? new MgmtException(ErrorCode.MgmtNoSpaceError, "No space left in the pool")
            : new MgmtException(ErrorCode.StoragePoolException, "qemu-img %s failed; the daemon's log says why", command);
    }
}
