namespace Mgmt.Qrexec;

/// <summary>Deadlines of an agent's channels.</summary>
public sealed record AgentLimits
{
    /// <summary>For the HELLO of a channel that is connected: a peer that was dialled too late looks connected and stays silent.</summary>
    public TimeSpan Hello { get; init; } = TimeSpan.FromSeconds(10);
    /// <summary>For a caller to listen on the data channel that it was told.</summary>
    public TimeSpan Dial { get; init; } = TimeSpan.FromSeconds(10);
    /// <summary>For an agent that was asked for a command to connect to its data channel.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(60);
    /// <summary>For a peer to take what was written to it.</summary>
    public TimeSpan Write { get; init; } = TimeSpan.FromSeconds(30);
    /// <summary>For a peer to close after the exit code.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(2);
    /// <summary>Between attempts to reach an agent whose channel ended.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(1);
    /// <summary>Calls of one agent that are served or refused at once; then it is not read. More than there are data channels.</summary>
    public int Calls { get; init; } = 512;
    /// <summary>Input of a call that is kept for it; then the guest waits.</summary>
    public int InputBytes { get; init; } = 256 * 1024;
}
