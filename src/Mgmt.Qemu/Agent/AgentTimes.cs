namespace Mgmt.Qemu;

/// <summary>The deadlines of a guest agent's session.</summary>
internal sealed record AgentTimes
{
    /// <summary>For one attempt at getting into step, and for the ping after it.</summary>
    public TimeSpan Sync { get; init; } = TimeSpan.FromSeconds(3);
    /// <summary>Pause after the first failed attempt; doubles up to <see cref="LongestPause"/>.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromMilliseconds(250);
    /// <summary>The longest pause between attempts.</summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(15);
    /// <summary>How long a command that is silent on success is listened to for an error; null: as its row says.</summary>
    public TimeSpan? SilentSuccess { get; init; }
    /// <summary>How long such a command may wait in the queue and be written.</summary>
    public TimeSpan Send { get; init; } = TimeSpan.FromSeconds(10);
}
