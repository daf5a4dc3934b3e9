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
internal sealed class QemuImg(string tool, ILogger logger, TimeProvider time)
{
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(30);
    private readonly ChildProcess _process = new(tool, logger, time);

    /// <summary>An empty image.</summary>
    internal Task CreateAsync(string file, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Short, cancellation, "create", "-q", "-f", "qcow2", file, Text(sizeBytes));

    /// <summary>An image on top of another, which is not opened.</summary>
    internal Task CreateOverlayAsync(string file, string baseName, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Short, cancellation, "create", "-q", "-f", "qcow2", "-u", "-b", baseName, "-F", "qcow2", file, Text(sizeBytes));

    /// <summary>A raw file as an image; runs of zeros take no space.</summary>
    internal Task ConvertRawAsync(string raw, string file, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Long(sizeBytes), cancellation, "convert", "-q", "-f", "raw", "-O", "qcow2", raw, file);

    /// <summary>An image and what is below it as one image without a backing file.</summary>
    internal Task FlattenAsync(string top, string below, string file, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Long(sizeBytes), cancellation, "convert", "-q", "-O", "qcow2", Chain(top, below), file);

    /// <summary>Writes what an image holds into the one below. Cut off, it can be done again: the view through the top stays the same all the time.</summary>
    internal Task CommitAsync(string top, string below, long sizeBytes, CancellationToken cancellation) =>
        RunAsync(Long(sizeBytes), cancellation, "commit", "-q", "-d", Chain(top, below));

    // Two minutes and the time that a slow disk (16 MiB/s) takes to copy everything.
    private static TimeSpan Long(long sizeBytes) => TimeSpan.FromSeconds(120 + (sizeBytes >> 24));

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Chain(string top, string below)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            WriteImage(json, top);
            json.WriteStartObject("backing");
            WriteImage(json, below);
            json.WriteNull("backing");
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return "json:" + Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void WriteImage(Utf8JsonWriter json, string file)
    {
        json.WriteString("driver", "qcow2");
        json.WriteStartObject("file");
        json.WriteString("driver", "file");
        json.WriteString("filename", file);
        json.WriteEndObject();
    }

    private async Task RunAsync(TimeSpan deadline, CancellationToken cancellation, params string[] arguments)
    {
        var (status, output) = await _process.RunAsync(arguments, deadline, cancellation);
        if (status == 0)
        {
            return;
        }
        Log.ToolFailed(logger, tool, arguments[0], status, output);
        throw output.Contains("No space left on device", StringComparison.Ordinal) || output.Contains("Disk quota exceeded", StringComparison.Ordinal)
            ? new MgmtException(ErrorCode.MgmtNoSpaceError, "No space left in the pool")
            : new MgmtException(ErrorCode.StoragePoolException, "qemu-img %s failed; the daemon's log says why", arguments[0]);
    }
}
