namespace Mgmt.Api;

/// <summary>What the daemon is.</summary>
public sealed record DaemonFacts(string Version, int ProcessId, DateTimeOffset StartedAt, int MaxConnections)
{
    /// <summary>The version of the API: the draft's calls are 1.</summary>
    public const string ApiVersion = "1";
}
