namespace Mgmt.Api;

/// <summary>How long a question waits, and how many may.</summary>
/// <param name="Timeout">After that it is denied.</param>
public sealed record AskLimits(TimeSpan Timeout)
{
    /// <summary>The most questions that wait for an answer.</summary>
    public int Pending { get; init; } = 64;

    /// <summary>The most of them from one source, so that nobody can keep all others from being heard.</summary>
    public int PendingOfSource { get; init; } = 4;

    /// <summary>The most agents at a time that are told questions by a stream.</summary>
    public int Agents { get; init; } = 16;
}
