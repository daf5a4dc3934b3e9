using System.Collections.Immutable;
using System.Diagnostics;

namespace Mgmt.Storage.Tests;

/// <summary>Programs of this machine; each gets these arguments before its own.</summary>
internal sealed class HostCommands(params ImmutableArray<string> first) : ICommandRunner
{
    public async Task<CommandResult> RunAsync(string program, ImmutableArray<string> arguments, TimeSpan deadline, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, [.. first, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LVM_SUPPRESS_FD_WARNINGS"] = "1";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(cancellation);
        var errors = process.StandardError.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return new CommandResult(process.ExitCode, await output, await errors);
    }
}
