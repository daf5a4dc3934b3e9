using System.Diagnostics;
using System.Text;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Runs a tool to its end, under a deadline, keeping the first 4 KiB of what it says.</summary>
internal sealed class ChildProcess(string tool, ILogger logger, TimeProvider time)
{
    private const int OutputLimit = 4096;

    /// <summary>Its exit status and output. ERRORS: MgmtTimeoutError, MgmtUnavailableError (no such tool). A cancelled one is killed and dead when this returns.
    /// <paramref name="heard"/> gets each piece of its standard output as it comes. Its standard input is <paramref name="input"/>, which has to fit into a pipe.</summary>
    internal async Task<(int Status, string Output)> RunAsync(
        IEnumerable<string> arguments, TimeSpan deadline, Action<string>? heard, ReadOnlyMemory<byte> input, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var start = new ProcessStartInfo(tool, arguments) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["LC_ALL"] = "C";
        using var process = Launch(start);
        Feed(process, input);
        using var late = new CancellationTokenSource(deadline, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        var output = DrainAsync(process.StandardOutput, heard, CancellationToken.None);
        var errors = DrainAsync(process.StandardError, null, CancellationToken.None);
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            // SIGKILL leaves at most a wait for a disk; the pipes close with the process.
            await process.WaitForExitAsync(CancellationToken.None);
            cancellation.ThrowIfCancellationRequested();
            Log.ToolTimedOut(logger, tool, start.ArgumentList.FirstOrDefault() ?? "", deadline);
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "%s took too long", Path.GetFileName(tool));
        }
        return (process.ExitCode, await errors + await output);
    }

    private Process Launch(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception failure)
        {
            throw new MgmtException(failure, ErrorCode.MgmtUnavailableError, "Cannot run %s", Path.GetFileName(tool));
        }
    }

    private static void Feed(Process process, ReadOnlyMemory<byte> input)
    {
        try
        {
            // Not through the writer, which would keep a copy.
            process.StandardInput.BaseStream.Write(input.Span);
        }
        catch (IOException)
        {
            // It ended before it read; its status says why.
        }
        process.StandardInput.Close();
    }

    private static async Task<string> DrainAsync(StreamReader reader, Action<string>? heard, CancellationToken cancellation)
    {
        var kept = new StringBuilder();
        var buffer = new char[1024];
        while (await reader.ReadAsync(buffer, cancellation) is > 0 and var count)
        {
            heard?.Invoke(new string(buffer, 0, count));
            kept.Append(buffer, 0, Math.Min(count, OutputLimit - kept.Length));
        }
        return kept.ToString();
    }
}
