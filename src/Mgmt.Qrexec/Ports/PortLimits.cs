namespace Mgmt.Qrexec;

/// <summary>What one port may take of the host. SOURCE: docs/guest-channels.md, "Fairness and limits".</summary>
public sealed record PortLimits
{
    /// <summary>For a guest to take what was written to it.</summary>
    public TimeSpan WriteDeadline { get; init; } = TimeSpan.FromSeconds(30);
    /// <summary>Bytes outside of any call until the port is left unread for a while; of a process that was killed the guest's kernel may hold 4 MiB.</summary>
    public long SkippedBytes { get; init; } = 8 << 20;
    /// <summary>How long.</summary>
    public TimeSpan Penalty { get; init; } = TimeSpan.FromSeconds(1);
    /// <summary>Input of a call that is kept for it; then the guest waits.</summary>
    public int InputBytes { get; init; } = 256 * 1024;
    /// <summary>The longest pause between attempts to connect.</summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(30);
}
