using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Mgmt.Cli.Rendering;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>
/// cp: one file out of a guest or into it. It grows under another name beside the final one and is given that when it is whole; what is not finished is removed.
/// SOURCE: docs/guest-agent.md, "cp".
/// </summary>
internal static class CopyVerb
{
    private static readonly TimeSpan s_cleanUp = TimeSpan.FromSeconds(10);
    private static readonly Argument<string> From = new("FROM") { Description = "A file, in a VM as VM:PATH" };
    private static readonly Argument<string> To = new("TO") { Description = "A file or a directory, in a VM as VM:PATH; one of both is in a VM" };
    private static readonly Option<string?> Mode = new("--mode") { Description = "The permissions it gets, octal; those it had when not given", HelpName = "MODE" };
    private static readonly Option<bool> Progress = Symbols.Progress();

    // Whole? Then the permissions, then the name. $1 part, $2 final, $3 mode, $4 bytes, $5 name within a directory.
    private const string Finish = """
        set -e
        if [ "$(stat -c %s -- "$1")" != "$4" ]; then echo "it has not the size that it ought to have" >&2; exit 1; fi
        chmod "$3" "$1"
        if [ -d "$2" ]; then set -- "$1" "$2/$5"; fi
        if [ -d "$2" ]; then echo "$2 is a directory" >&2; exit 1; fi
        mv -f -- "$1" "$2"
        """;

    public static Command Create(CommandLine cli)
    {
        string[] examples = ["mgmtctl cp work:/etc/os-release .", "mgmtctl cp tool work:/usr/local/bin/ --mode 755", "mgmtctl cp work:/var/log/messages log --progress"];
        return cli.Verb("cp", "Copy a file into a VM or out of it", examples, [From, To, Mode, Progress], async (run, token) =>
        {
            var (from, to) = (GuestPath.Parse(run.Get(From)!), GuestPath.Parse(run.Get(To)!));
            await ((from.Vm, to.Vm) switch
            {
                ({ } vm, null) => FetchAsync(run, new Guest(run.Daemon, vm, run.Time), from, to.Path, token),
                (null, { } vm) => BringAsync(run, new Guest(run.Daemon, vm, run.Time), from.Path, to, token),
                _ => throw new UsageException("one of both files is in a VM, as VM:PATH"),
            });
            return ExitCode.Done;
        });
    }

    private static async Task FetchAsync(Run run, Guest guest, GuestPath from, string to, CancellationToken cancellationToken)
    {
        var final = Directory.Exists(to) ? Path.Combine(to, from.Name) : to;
        var part = $"{final}.part-{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        var (bytes, mode) = await AboutAsync(guest, from.Path, cancellationToken);
        try
        {
            await using (var output = new FileStream(part, FileMode.CreateNew, FileAccess.Write))
            {
                var copied = await ProgressBar.RunAsync(run, $"{from}", bytes ?? 0, run.Get(Progress), progress => ReadAllAsync(guest, from.Path, output, progress, bytes ?? 0, cancellationToken));
                if (bytes > 0 && copied != bytes)
                {
                    throw new IOException(string.Create(CultureInfo.InvariantCulture, $"{from} had {bytes} bytes and {copied} came: it was changed meanwhile"));
                }
                output.Flush(flushToDisk: true);
            }
            if ((ModeOption(run) ?? mode) is { } wanted)
            {
                File.SetUnixFileMode(part, (UnixFileMode)wanted);
            }
            File.Move(part, final, overwrite: true);
        }
        finally
        {
            File.Delete(part);
        }
    }

    private static async Task<long> ReadAllAsync(Guest guest, string path, Stream output, IProgress<CopyProgress>? progress, long total, CancellationToken cancellationToken)
    {
        var handle = await guest.OpenAsync(path, "rb", cancellationToken);
        try
        {
            for (long copied = 0; ;)
            {
                var read = await guest.ReadAsync(handle, cancellationToken);
                await output.WriteAsync(read.Bytes, cancellationToken);
                copied += read.Bytes.Length;
                progress?.Report(new CopyProgress(copied, total));
                if (read.Eof || read.Bytes.IsEmpty)
                {
                    return copied;
                }
            }
        }
        finally
        {
            await TidyAsync(token => guest.CloseAsync(handle, flush: false, token));
        }
    }

    private static async Task BringAsync(Run run, Guest guest, string from, GuestPath to, CancellationToken cancellationToken)
    {
        await using var input = File.OpenRead(from);
        var mode = ModeOption(run) ?? (int)(File.GetUnixFileMode(from) & (UnixFileMode)0x1ff);
        var part = $"{to.Path.TrimEnd('/')}.part-{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        var isFinished = false;
        try
        {
            var sent = await ProgressBar.RunAsync(run, $"{to}", input.Length, run.Get(Progress), progress => WriteAllAsync(guest, part, input, progress, cancellationToken));
            string[] arguments = ["-c", Finish, "sh", part, to.Path, Convert.ToString(mode, 8), sent.ToString(CultureInfo.InvariantCulture), Path.GetFileName(from)];
            var end = await guest.RunAsync(new("/bin/sh", arguments, null, null, CaptureOutput: true), cancellationToken);
            isFinished = end.Status == 0;
            if (!isFinished)
            {
                throw new IOException($"{to}: {Encoding.UTF8.GetString((end.ErrData ?? default).Span).Trim()}");
            }
        }
        finally
        {
            if (!isFinished)
            {
                await TidyAsync(token => guest.RunAsync(new("/bin/rm", ["-f", "--", part], null, null, CaptureOutput: false), token));
            }
        }
    }

    private static async Task<long> WriteAllAsync(Guest guest, string path, FileStream input, IProgress<CopyProgress>? progress, CancellationToken cancellationToken)
    {
        var handle = await guest.OpenAsync(path, "wb", cancellationToken);
        var isOpen = true;
        try
        {
            var buffer = new byte[Guest.ChunkBytes];
            long copied = 0;
            for (int n; (n = await input.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken)) > 0;)
            {
                for (var written = 0; written < n;)
                {
                    var took = await guest.WriteAsync(handle, buffer.AsMemory(written, n - written), cancellationToken);
                    written += took is > 0 and var some && some <= n - written ? (int)some : throw new IOException($"{path} takes no more");
                }
                copied += n;
                progress?.Report(new CopyProgress(copied, input.Length));
            }
            isOpen = false;
            await guest.CloseAsync(handle, flush: true, cancellationToken);
            return copied;
        }
        finally
        {
            if (isOpen)
            {
                await TidyAsync(token => guest.CloseAsync(handle, flush: false, token));
            }
        }
    }

    /// <summary>Size and permissions; nothing of a guest that cannot say, or of a caller that may not ask.</summary>
    private static async Task<(long? Bytes, int? Mode)> AboutAsync(Guest guest, string path, CancellationToken cancellationToken)
    {
        try
        {
            var end = await guest.RunAsync(new("stat", ["-L", "-c", "%s %a", "--", path], null, null, CaptureOutput: true), cancellationToken);
            return end.Status == 0 && Encoding.ASCII.GetString((end.OutData ?? default).Span).Split(' ') is [var bytes, var mode] && long.TryParse(bytes, CultureInfo.InvariantCulture, out var size)
                ? (size, Octal(mode.Trim()) & 0x1ff)
                : (null, null);
        }
        catch (MgmtException)
        {
            return (null, null);
        }
    }

    private static int? ModeOption(Run run) => run.Get(Mode) is { } text ? Octal(text) is { } mode and <= 0x1ff ? mode : throw new UsageException($"'{text}' is no mode; one is such as 644 or 755") : null;

    private static int? Octal(string text) => text.Length is > 0 and <= 4 && text.All(c => c is >= '0' and <= '7') ? Convert.ToInt32(text, 8) : null;

    /// <summary>What is left over is put away also when the copy was broken off; that it cannot be is no news then.</summary>
    private static async Task TidyAsync(Func<CancellationToken, Task> act)
    {
        using var limit = new CancellationTokenSource(s_cleanUp);
        try
        {
            await act(limit.Token);
        }
        catch (Exception error) when (error is MgmtException or OperationCanceledException)
        {
            // The error that led here is told.
        }
    }
}
