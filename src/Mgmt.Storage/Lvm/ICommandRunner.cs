using System.Collections.Immutable;

namespace Mgmt.Storage;

/// <summary>Runs a program with a fixed list of arguments, never through a shell.</summary>
public interface ICommandRunner
{
    /// <summary>Runs it to its end. ERRORS: MgmtTimeoutError (it was killed), MgmtUnavailableError (no such program).</summary>
    Task<CommandResult> RunAsync(string program, ImmutableArray<string> arguments, TimeSpan deadline, CancellationToken cancellation);
}

/// <summary>How a program ended: its exit status and what it wrote, each cut off at a limit.</summary>
public sealed record CommandResult(int Status, string Output, string Errors);
