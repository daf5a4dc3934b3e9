using System.ComponentModel;
using System.Diagnostics;

namespace Mgmt.Qemu;

/// <summary>How a short child process ended, and the start of what it printed.</summary>
internal sealed record ShortRunResult(int ExitCode, string Output);

/// <summary>Runs a program that ends by itself, with a deadline and little output.</summary>
internal static class ShortRun
{
    private const int MaxOutput = 2048;

    /// <summary>Null: it cannot be started, or was killed at the deadline.</summary>
    public static async Task<ShortRunResult?> RunAsync(IReadOnlyList<string> command, TimeSpan deadline, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timer.CancelAfter(deadline);
        Process? process = null;
        try
        {
            process = Process.Start(start)!;
            process.StandardInput.Close();
            var output = FirstAsync(process.StandardOutput, timer.Token);
            var errors = FirstAsync(process.StandardError, timer.Token);
            var text = await output + await errors;
            await process.WaitForExitAsync(timer.Token);
            return new ShortRunResult(process.ExitCode, text);
        }
        catch (Win32Exception)
        {
            return null;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return null;
        }
        finally
        {
            if (process is { HasExited: false })
            {
                process.Kill();
            }
            process?.Dispose();
        }
    }

    private static async Task<string> FirstAsync(StreamReader reader, CancellationToken cancellation)
    {
        var buffer = new char[MaxOutput];
        var read = await reader.ReadBlockAsync(buffer, cancellation);
        return new string(buffer, 0, read);
    }
}
