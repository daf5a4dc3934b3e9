using System.Text.Json;

namespace Mgmt.Core;

/// <summary>The QEMU guest agent of one VM. What it says is untrusted and bounded before it gets here.</summary>
public interface IGuestAgent
{
    /// <summary>Whether it answers.</summary>
    AgentState State { get; }

    /// <summary>Counts the agents that have answered on this port: handles and processes of one mean nothing to the next.</summary>
    long Session { get; }

    /// <summary>
    /// Runs a command, such as <c>guest-get-osinfo</c>, and gives its <c>return</c>. <paramref name="argumentsJson"/> is a JSON
    /// object or null. Commands of one VM wait in one bounded queue. ERRORS: MgmtUnavailableError (no agent), MgmtTimeoutError,
    /// MgmtBusyError (queue full), MgmtUnsupportedError (the guest has no such command), QubesException (the agent's own error).
    /// </summary>
    Task<JsonElement> ExecuteAsync(string command, string? argumentsJson, TimeSpan deadline, CancellationToken cancellation);

    /// <summary>Runs a command that does not answer when it succeeds (guest-shutdown); returns when it was sent and no error came back at once.</summary>
    Task SendAsync(string command, string? argumentsJson, CancellationToken cancellation);
}
