using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Cli;

/// <summary>
/// A program in a guest whose output is read while it runs. The agent itself tells output only at the end, so the program writes into two files that the agent opened
/// before; a shell takes away their names and then becomes the program. SOURCE: docs/guest-agent.md, "run".
/// </summary>
internal sealed class StreamedProgram(Guest guest, string directory, TimeProvider time)
{
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_cleanUp = TimeSpan.FromSeconds(8);
    private const int MaxPidDigits = 10;

    // $1 name of the directory, then what has to be there to run. true, not ':': a redirection that fails in ':' ends the shell.
    private const string Prepare = """
        umask 077
        name=$1
        shift
        for word; do command -v "$word" >/dev/null || exit 3; done
        for top in /tmp /run /var/tmp; do
            mkdir "$top/$name" 2>/dev/null || continue
            if true >"$top/$name/out" && true >"$top/$name/err"; then echo "$top/$name"; exit 0; fi
            rm -rf "$top/$name"
        done
        exit 4
        """;

    // $1 directory, then the program. Its first line says which process it is.
    private const string Begin = """
        d=$1
        shift
        exec >"$d/out" 2>"$d/err"
        rm -rf "$d"
        echo $$
        exec "$@"
        """;

    private readonly StringBuilder _pid = new();
    private string? _out;
    private string? _err;
    private bool _isPidRead;
    private bool _isBegun;
    private bool _isRunning;

    /// <summary>Makes the files and opens them; null where the guest has no shell for it or no such program, or the caller may not read files.</summary>
    public static async Task<StreamedProgram?> TryPrepareAsync(Guest guest, GuestProgram program, TimeProvider time, CancellationToken cancellationToken)
    {
        var name = "mgmt-run-" + RandomNumberGenerator.GetHexString(32, lowercase: true);
        StreamedProgram? prepared = null;
        var isOpen = false;
        try
        {
            string[] arguments = ["-c", Prepare, "sh", name, "rm", .. program.Env is null ? [] : (string[])["env"], program.Path];
            var end = await guest.RunAsync(new("/bin/sh", arguments, null, null, CaptureOutput: true), cancellationToken);
            var directory = Encoding.UTF8.GetString((end.OutData ?? default).Span).TrimEnd('\n');
            if (end.Status != 0 || directory is not ['/', ..] || !directory.EndsWith("/" + name, StringComparison.Ordinal))
            {
                return null;
            }
            prepared = new StreamedProgram(guest, directory, time);
            await prepared.OpenAsync(cancellationToken);
            isOpen = true;
            return prepared;
        }
        catch (MgmtException error) when (error.Code is ErrorCode.PermissionDenied or ErrorCode.QubesException or ErrorCode.MgmtUnsupportedError)
        {
            return null;
        }
        finally
        {
            if (prepared is not null && !isOpen)
            {
                await prepared.CloseAsync();
            }
        }
    }

    /// <summary>Runs it to its end and hands on what it writes, each stream in order. Gives its status; a caller that gives up ends the program, if the guest lets it.</summary>
    public async Task<int> RunAsync(GuestProgram program, Func<ReadOnlyMemory<byte>, Task> output, Func<ReadOnlyMemory<byte>, Task> errors, Action<string> tell, CancellationToken cancellationToken)
    {
        try
        {
            string[] words = [.. program.Env is { } variables ? ["env", "-i", .. variables] : (string[])[], program.Path, .. program.Arg ?? []];
            var pid = await guest.StartAsync(new("/bin/sh", ["-c", Begin, "sh", directory, .. words], null, program.InputData, CaptureOutput: false), cancellationToken);
            (_isBegun, _isRunning) = (true, true);
            return await FollowAsync(pid, output, errors, cancellationToken);
        }
        catch (Exception gone) when (_isRunning && gone is OperationCanceledException or ReaderGoneException or IOException)
        {
            tell(await EndAsync() ? "the program was ended" : "the program could not be ended, and goes on in the VM");
            throw;
        }
        finally
        {
            await CloseAsync();
        }
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        _out = await guest.OpenAsync(directory + "/out", "rb", cancellationToken);
        _err = await guest.OpenAsync(directory + "/err", "rb", cancellationToken);
        // Who may open files and not read them finds out before anything is run.
        await guest.ReadAsync(_out, cancellationToken);
    }

    private async Task<int> FollowAsync(ReadOnlyMemory<byte> pid, Func<ReadOnlyMemory<byte>, Task> output, Func<ReadOnlyMemory<byte>, Task> errors, CancellationToken cancellationToken)
    {
        GuestProcessEnd? ended = null;
        var pause = s_firstPause;
        while (true)
        {
            // First whether it ended, which the agent says once: what is read after that is all there is.
            ended ??= await guest.StatusAsync(pid, cancellationToken) is { Exited: true } end ? end : null;
            _isRunning = ended is null;
            var most = Math.Max(await CopyAsync(_err!, errors, cancellationToken), await CopyAsync(_out!, bytes => output(Rest(bytes)), cancellationToken));
            if (most == 0 && ended is not null)
            {
                return ended.Status;
            }
            if (ended is not null || most >= Guest.ChunkBytes)
            {
                continue;
            }
            pause = most > 0 ? s_firstPause : pause * 2 < s_longestPause ? pause * 2 : s_longestPause;
            await Task.Delay(pause, time, cancellationToken);
        }
    }

    private async Task<int> CopyAsync(string handle, Func<ReadOnlyMemory<byte>, Task> write, CancellationToken cancellationToken)
    {
        var read = await guest.ReadAsync(handle, cancellationToken);
        if (!read.Bytes.IsEmpty)
        {
            await write(read.Bytes);
        }
        return read.Bytes.Length;
    }

    /// <summary>What the program itself wrote: not the line before it.</summary>
    private ReadOnlyMemory<byte> Rest(ReadOnlyMemory<byte> bytes)
    {
        while (!_isPidRead && !bytes.IsEmpty)
        {
            _isPidRead = bytes.Span[0] == '\n';
            if (!_isPidRead && _pid.Length < MaxPidDigits)
            {
                _pid.Append((char)bytes.Span[0]);
            }
            bytes = bytes[1..];
        }
        return bytes;
    }

    private async Task<bool> EndAsync()
    {
        using var limit = new CancellationTokenSource(s_cleanUp, time);
        try
        {
            if (!_isPidRead)
            {
                await CopyAsync(_out!, bytes =>
                {
                    Rest(bytes);
                    return Task.CompletedTask;
                }, limit.Token);
            }
            if (!_isPidRead || !int.TryParse(_pid.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            {
                return false;
            }
            var end = await guest.RunAsync(new("/bin/sh", ["-c", "kill -TERM \"$1\"", "sh", pid.ToString(CultureInfo.InvariantCulture)], null, null, CaptureOutput: false), limit.Token);
            return end.Status == 0;
        }
        catch (Exception error) when (error is MgmtException or OperationCanceledException)
        {
            return false;
        }
    }

    private async Task CloseAsync()
    {
        using var limit = new CancellationTokenSource(s_cleanUp, time);
        try
        {
            if (!_isBegun)
            {
                await guest.RunAsync(new("/bin/rm", ["-rf", directory], null, null, CaptureOutput: false), limit.Token);
            }
            foreach (var handle in new[] { _out, _err }.OfType<string>())
            {
                await guest.CloseAsync(handle, flush: false, limit.Token);
            }
        }
        catch (Exception error) when (error is MgmtException or OperationCanceledException)
        {
            // The VM is gone, or what led here is told.
        }
    }
}
