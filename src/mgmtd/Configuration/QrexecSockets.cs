namespace Mgmt.Daemon;

/// <summary>Paths of the sockets of qrexec's policy daemon, where mgmtd takes its place; null for those that it does not serve.</summary>
internal sealed record QrexecSockets(string? Policy, string? EvalSimple, string? EvalGui)
{
    internal static QrexecSockets None { get; } = new(null, null, null);
}
