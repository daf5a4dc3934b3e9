using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mgmt.Cli.Formats;
using Mgmt.Cli.Rendering;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>machine cp: from or to a container. A directory goes over as a tar stream.</summary>
internal static class MachineCopyVerb
{
    private const UnixFileMode Permissions = (UnixFileMode)0x1FF;

    public static Command Create(CommandLine cli)
    {
        var from = new Argument<string>("FROM") { Description = "MACHINE:/PATH, or a file or directory here" };
        var to = new Argument<string>("TO") { Description = "A path here that does not exist, or a directory; or MACHINE:/PATH, what the copy is to be called there" };
        var progress = Symbols.Progress();
        string[] examples = ["mgmtctl machine cp web:/etc/hosts .", "mgmtctl machine cp web:/srv ./srv-of-web", "mgmtctl machine cp ./site web:/srv/site"];
        return cli.Verb("cp", "Copy a file or directory from or to a container", examples, [from, to, progress], async (run, token) =>
        {
            switch (Inside(run.Get(from)!), Inside(run.Get(to)!))
            {
                case ({ } there, null):
                    await FetchAsync(run, there, run.Get(to)!, run.Get(progress), token);
                    return ExitCode.Done;
                case (null, { } there):
                    await SendAsync(run, run.Get(from)!, there, run.Get(progress), token);
                    return ExitCode.Done;
                default:
                    throw new UsageException("one of FROM and TO is MACHINE:/PATH");
            }
        });
    }

    private static (string Machine, string Path)? Inside(string text) =>
        text.IndexOf(":/", StringComparison.Ordinal) is > 0 and var colon && !text[..colon].Contains('/', StringComparison.Ordinal) ? (text[..colon], text[(colon + 1)..]) : null;

    private static async Task FetchAsync(Run run, (string Machine, string Path) there, string here, bool plainLines, CancellationToken cancellationToken)
    {
        var target = Directory.Exists(here) ? Path.Combine(here, Path.GetFileName(there.Path.TrimEnd('/'))) : here;
        if (Path.Exists(target))
        {
            throw new IOException($"{target} exists");
        }
        await using var call = await run.Daemon.OpenAsync("mgmt.machine.CopyFrom", there.Machine, Encoding.UTF8.GetBytes(there.Path), endInput: true, cancellationToken);
        var start = KeyValues.OfLines(Encoding.UTF8.GetString((await call.ReadAsync(cancellationToken)).Bytes.Span));
        var total = long.TryParse(start.Find("bytes"), NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes : 0;
        await ProgressBar.RunAsync(run, $"{there.Machine}:{there.Path}", total, plainLines, async progress =>
        {
            await using var content = new FramedContent(call, progress, total);
            await TakeWholeAsync(content, start, target, cancellationToken);
            var left = await content.EndAsync(cancellationToken);
            if (left != "0")
            {
                run.Tell(LeftOut(left));
            }
            return true;
        });
    }

    private static string LeftOut(string count) => count == "1" ? "1 device, pipe or socket was left out" : $"{count} devices, pipes or sockets were left out";

    /// <summary>What did not come whole does not stay: it would pass for a copy.</summary>
    private static async Task TakeWholeAsync(Stream content, IReadOnlyList<KeyValuePair<string, string>> start, string target, CancellationToken cancellationToken)
    {
        try
        {
            await TakeAsync(content, start, target, cancellationToken);
        }
        catch
        {
            if (Directory.Exists(target))
            {
                Directory.Delete(target, recursive: true);
            }
            else
            {
                File.Delete(target);
            }
            throw;
        }
    }

    private static async Task TakeAsync(Stream content, IReadOnlyList<KeyValuePair<string, string>> start, string target, CancellationToken cancellationToken)
    {
        if (start.Find("kind") == "directory")
        {
            Directory.CreateDirectory(target);
            await TarTree.ReadAsync(content, target, cancellationToken);
            return;
        }
        var mode = (UnixFileMode)Convert.ToInt32("0" + start.Find("mode"), 8) & Permissions;
        await using var file = new FileStream(target, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode });
        await content.CopyToAsync(file, cancellationToken);
    }

    private static async Task SendAsync(Run run, string here, (string Machine, string Path) there, bool plainLines, CancellationToken cancellationToken)
    {
        var isDirectory = Directory.Exists(here);
        await using var data = isDirectory ? await TarAsync(run, here, cancellationToken) : File.OpenRead(here);
        var mode = isDirectory ? null : Convert.ToString((int)(File.GetUnixFileMode(here) & Permissions), 8);
        var header = new RequestHeader("mgmt.machine.CopyTo", there.Machine, Daemon.Host, DestinationKind.Name, Daemon.Host);
        await ProgressBar.RunAsync(run, $"{there.Machine}:{there.Path}", data.Length, plainLines, progress =>
            run.Daemon.CallAsync(header, Line(there.Path, isDirectory, data.Length, mode), data, progress is null ? null : new Sent(progress, data.Length), cancellationToken));
    }

    /// <summary>A file without a name: the daemon is told how long the stream is before it comes.</summary>
    private static async Task<FileStream> TarAsync(Run run, string directory, CancellationToken cancellationToken)
    {
        var tar = new FileStream(Path.GetTempFileName(), FileMode.Open, FileAccess.ReadWrite, FileShare.None, 64 * 1024, FileOptions.DeleteOnClose);
        try
        {
            if (await TarTree.WriteAsync(directory, tar, cancellationToken) is > 0 and var left)
            {
                run.Tell(LeftOut(left.ToString(CultureInfo.InvariantCulture)));
            }
            tar.Position = 0;
            return tar;
        }
        catch
        {
            await tar.DisposeAsync();
            throw;
        }
    }

    private static byte[] Line(string path, bool isDirectory, long bytes, string? mode)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("path", path);
            json.WriteString("kind", isDirectory ? "directory" : "file");
            json.WriteNumber("bytes", bytes);
            if (mode is not null)
            {
                json.WriteString("mode", mode);
            }
            json.WriteEndObject();
        }
        return [.. buffer.ToArray(), (byte)'\n'];
    }

    private sealed class Sent(IProgress<CopyProgress> progress, long total) : IProgress<long>
    {
        public void Report(long value) => progress.Report(new CopyProgress(value, total));
    }
}
