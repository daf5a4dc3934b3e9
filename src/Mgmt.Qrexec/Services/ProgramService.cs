using System.Diagnostics;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qrexec;

/// <summary>
/// A program of the host: argument 1 is the service's argument, unless it is empty. It leads a session of its own (setsid of util-linux executes it), so that it ends with all that it started when
/// its caller goes; no shell is between. What it leaves running when it ends by itself is its own affair.
/// </summary>
internal sealed partial class ProgramService(string path, ServiceRequest request, UnixUser? user, HostServiceOptions options, TimeProvider clock, ILogger log) : IService
{
    private const int BlockBytes = 64 * 1024;
    private const int LoggedBytes = 512;
    private const nuint BytesReadable = 0x541B;
    private const int Terminate = 15;
    private const int KillHard = 9;
    private static readonly string[] OurOwn = ["QREXEC", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "INVOCATION_ID", "DOTNET_", "MGMT"];

    public async Task<int> RunAsync(GuestCall call, CancellationToken cancellation)
    {
        using var process = Launch();
        // Whoever has asked for them has to close them: what is left behind then learns that nobody reads.
        using var output = process.StandardOutput;
        using var errors = process.StandardError;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var feeding = FeedAsync(call, process.StandardInput.BaseStream, over.Token);
        var outputs = Task.WhenAll(CopyAsync(output.BaseStream, call.WriteAsync, over.Token), CopyAsync(errors.BaseStream, Errors(call), over.Token));
        try
        {
            await process.WaitForExitAsync(cancellation);
            // What it left behind may hold its output for ever.
            await Task.WhenAny(outputs, Task.Delay(options.Grace, clock, cancellation));
            cancellation.ThrowIfCancellationRequested();
            return process.ExitCode;
        }
        finally
        {
            await over.CancelAsync();
            await EndAsync(process);
            await Task.WhenAll(feeding, outputs);
        }
    }

    private Process Launch()
    {
        // The runtime ignores SIGPIPE, and so would a program that nobody reads any more: it would write for ever.
        var start = new ProcessStartInfo("env", ["--default-signal=PIPE", "setsid", .. AsUser(), path, .. request.Argument.Length > 0 ? [request.Argument] : Array.Empty<string>()])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/",
        };
        foreach (var name in start.Environment.Keys.Where(name => OurOwn.Any(own => name.StartsWith(own, StringComparison.Ordinal))).ToList())
        {
            start.Environment.Remove(name);
        }
        foreach (var (name, value) in request.Environment.Concat(OfUser()))
        {
            start.Environment[name] = value;
        }
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new IOException($"{path}: {error.Message}", error);
        }
    }

    private IEnumerable<string> AsUser() => user is null ? [] : ["setpriv", FormattableString.Invariant($"--reuid={user.Uid}"), FormattableString.Invariant($"--regid={user.Gid}"), "--init-groups", "--"];

    private IEnumerable<KeyValuePair<string, string>> OfUser() => user is null ? [] : [new("HOME", user.Home), new("USER", user.Name), new("LOGNAME", user.Name), new("SHELL", user.Shell)];

    /// <summary>Ends it and all of its session, when it still runs: first asked to, then not.</summary>
    private async Task EndAsync(Process process)
    {
        if (process.HasExited)
        {
            return;
        }
        Signal(process, Terminate);
        using var grace = new CancellationTokenSource(options.Grace, clock);
        try
        {
            await process.WaitForExitAsync(grace.Token);
        }
        catch (OperationCanceledException)
        {
            Log.ServiceKilled(log, path);
        }
        // Its children may not have listened.
        Signal(process, KillHard);
        await process.WaitForExitAsync(CancellationToken.None);
    }

    /// <summary>The number stays its own until its end was waited for, and its group's as long as one of the group is left.</summary>
    private static void Signal(Process process, int signal)
    {
        if (Kill(-process.Id, signal) != 0 && !process.HasExited)
        {
            // It is not even a session of its own yet.
            _ = Kill(process.Id, signal);
        }
    }

    /// <summary>The caller's input; what a program does not take any more is thrown away.</summary>
    private static async Task FeedAsync(GuestCall call, Stream input, CancellationToken over)
    {
        var takes = true;
        try
        {
            while (await call.Input.ReadAsync(over) is var read)
            {
                foreach (var piece in read.Buffer)
                {
                    takes = takes && await TryWriteAsync(input, piece, over);
                }
                call.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It has ended, or its caller.
        }
        await TryCloseAsync(input);
    }

    /// <summary>What is in the pipe already is read at once: to wait for it takes a thread of the pool there and back, which is what a program that writes much would spend its time with.</summary>
    private static async Task CopyAsync(Stream from, Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> to, CancellationToken over)
    {
        // Where both ends are quick it never waits, and nobody else's turn would come.
        await Task.Yield();
        var block = new byte[BlockBytes];
        try
        {
            while ((HasInput(from) ? from.Read(block) : await from.ReadAsync(block, over)) is var read and > 0)
            {
                await to(block.AsMemory(0, read), over);
                over.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException)
        {
            // It has ended, or its caller.
        }
    }

    private static bool HasInput(Stream stream) => stream is PipeStream pipe && Ioctl(pipe.SafePipeHandle, BytesReadable, out var count) == 0 && count > 0;

    private Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> Errors(GuestCall call) => options.ErrorsToCaller ? call.WriteErrorAsync : (bytes, _) =>
    {
        Log.ServiceSaid(log, path, Encoding.ASCII.GetString(bytes.Span[..Math.Min(bytes.Length, LoggedBytes)]).ReplaceLineEndings(" "));
        return ValueTask.CompletedTask;
    };

    private static async ValueTask<bool> TryWriteAsync(Stream input, ReadOnlyMemory<byte> bytes, CancellationToken over)
    {
        try
        {
            await input.WriteAsync(bytes, over);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async ValueTask TryCloseAsync(Stream input)
    {
        try
        {
            await input.DisposeAsync();
        }
        catch (IOException)
        {
            // Nobody reads it any more.
        }
    }

    // SOURCE: ioctl_tty(2), FIONREAD.
    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Ioctl(SafePipeHandle pipe, nuint request, out int count);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
