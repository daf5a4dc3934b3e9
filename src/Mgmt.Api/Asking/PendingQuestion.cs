namespace Mgmt.Api;

/// <summary>A question that waits, and the agents that could still answer it. Guarded by the gate of <see cref="PendingQuestions"/>, but for the answer.</summary>
internal sealed class PendingQuestion(AskQuestion question, long began)
{
    private readonly TaskCompletionSource<AskAnswer> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal AskQuestion Question => question;

    internal long Began => began;

    internal Task<AskAnswer> Answer => _answer.Task;

    /// <summary>Streams (<see cref="AgentStream"/>) and sockets (<see cref="IAskSocket"/>).</summary>
    internal HashSet<object> Agents { get; } = [];

    /// <summary>Whether somebody was there at all.</summary>
    internal bool WasHeard { get; set; }

    /// <summary>The first answer counts; false when there is one.</summary>
    internal bool Settle(AskAnswer answer) => _answer.TrySetResult(answer);
}
