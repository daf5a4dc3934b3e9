using System.Collections.Immutable;
using System.Diagnostics;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Programs of the host. A report of thousands of volumes is kept whole, and no more than that.</summary>
internal sealed class CommandRunner(TimeProvider time) : ICommandRunner
{
    private const int OutputChars = 16 << 20, ErrorChars = 4096;

    public async Task<CommandResult> RunAsync(string program, ImmutableArray<string> arguments, TimeSpan deadline, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["LC_ALL"] = "C";
        start.Environment["LVM_SUPPRESS_FD_WARNINGS"] = "1";
        using var process = Launch(start);
        process.StandardInput.Close();
        using var late = new CancellationTokenSource(deadline, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        var output = DrainAsync(process.StandardOutput, OutputChars);
        var errors = DrainAsync(process.StandardError, ErrorChars);
        try
        {
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            cancellation.ThrowIfCancellationRequested();
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "%s took too long", Path.GetFileName(program));
        }
        return new CommandResult(process.ExitCode, await output, await errors);
    }

    private static Process Launch(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception failure)
        {
            throw new MgmtException(failure, ErrorCode.MgmtUnavailableError, "Cannot run %s", Path.GetFileName(start.FileName));
        }
    }

    private static async Task<string> DrainAsync(StreamReader reader, int limit)
    {
        var kept = new StringBuilder();
        var buffer = new char[4096];
        while (await reader.ReadAsync(buffer, CancellationToken.None) is > 0 and var count)
        {
            kept.Append(buffer, 0, Math.Min(count, limit - kept.Length));
        }
        return kept.ToString();
    }
}
