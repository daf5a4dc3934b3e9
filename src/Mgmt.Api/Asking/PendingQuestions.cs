using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// The questions that wait for somebody's answer, and the agents that there are to ask. Each question is put to all agents at once and the first answer counts.
/// Without an agent, without an answer in time, and beyond the bounds it is a no.
/// </summary>
public sealed class PendingQuestions(AskLimits limits, IReadOnlyList<IAskSocket> sockets, TimeProvider clock, ILogger<PendingQuestions> log)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, PendingQuestion> _pending = new(StringComparer.Ordinal);
    private readonly Dictionary<AgentStream, TaskCompletionSource> _streams = [];
    private bool _isClosing;

    /// <summary>How many questions wait.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _pending.Count;
            }
        }
    }

    /// <summary>How many agents have a stream open.</summary>
    public int AgentCount
    {
        get
        {
            lock (_gate)
            {
                return _streams.Count;
            }
        }
    }

    /// <summary>How many agents are reached by a socket; whether somebody listens there shows when a question comes.</summary>
    public int SocketCount => sockets.Count;

    /// <summary>Asks, and waits for the answer; never for longer than the limit. Ends with the token, when the caller does not wait any more.</summary>
    public async Task<AskAnswer> AskAsync(AskQuestion question, CancellationToken cancellation)
    {
        var pending = new PendingQuestion(question, clock.GetTimestamp());
        if (Begin(pending) is { } refusal)
        {
            return Told(question, refusal);
        }
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var asking = sockets.Select(socket => AskSocketAsync(pending, socket, over.Token)).ToList();
        try
        {
            return Told(question, await pending.Answer.WaitAsync(limits.Timeout, clock, cancellation));
        }
        catch (TimeoutException)
        {
            // Unless an answer came in the same moment.
            pending.Settle(AskAnswer.TimedOut);
            return Told(question, await pending.Answer);
        }
        finally
        {
            End(pending);
            await over.CancelAsync();
            await Task.WhenAll(asking);
        }
    }

    /// <summary>An agent's answer to a question that it was told. ERRORS: QubesValueError when the question is over, or the answer is none.</summary>
    internal void Answer(string id, string text, string by)
    {
        var pending = Find(id);
        var answer = Read(pending?.Question, text) ?? throw new MgmtException(ErrorCode.QubesValueError, "An answer is %s or %s", "allow:TARGET", "deny");
        if (pending is null || !pending.Settle(answer))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "No question %s is pending", id);
        }
        Log.Answered(log, id, answer.Outcome, by);
        if (answer.Target is null && answer != AskAnswer.No)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The call is denied: %s", answer.Reason);
        }
    }

    /// <summary>Who asks, or null when no such question waits.</summary>
    internal string? SourceOf(string id) => Find(id)?.Question.Source;

    /// <summary>Serves an agent's stream to its end. ERRORS: MgmtBusyError before anything was sent.</summary>
    internal async Task ServeAsync(AgentStream agent, IEventSink sink, CancellationToken cancellation)
    {
        Enter(agent);
        try
        {
            await agent.RunAsync(sink, cancellation);
        }
        finally
        {
            Leave(agent);
        }
    }

    /// <summary>An agent for <see cref="ServeAsync"/>, with a queue for more than can wait at once.</summary>
    internal AgentStream Agent(string source, Func<bool> mayStay, Func<AskQuestion, bool> mayAnswer) => new(source, mayStay, mayAnswer, 8 * limits.Pending);

    /// <summary>The daemon stops: tells the agents. What waits ends with its caller's token.</summary>
    public void Shutdown()
    {
        lock (_gate)
        {
            _isClosing = true;
            foreach (var agent in _streams.Keys)
            {
                agent.End(StreamEnd.Shutdown);
            }
        }
    }

    /// <summary>After <see cref="Shutdown"/>: waits until the agents were told, at most for so long.</summary>
    public async Task ClosedAsync(TimeSpan limit)
    {
        Task closed;
        lock (_gate)
        {
            closed = Task.WhenAll(_streams.Values.Select(left => left.Task));
        }
        await Task.WhenAny(closed, Task.Delay(limit, clock, CancellationToken.None));
    }

    private AskAnswer? Begin(PendingQuestion pending)
    {
        var question = pending.Question;
        lock (_gate)
        {
            if (_pending.Count >= limits.Pending)
            {
                return AskAnswer.TooMany;
            }
            if (_pending.Values.Count(other => other.Question.Source == question.Source) >= limits.PendingOfSource)
            {
                return AskAnswer.TooManyOfSource;
            }
            foreach (var agent in _streams.Keys)
            {
                Offer(pending, agent);
            }
            pending.Agents.UnionWith(sockets);
            if (pending.Agents.Count == 0)
            {
                return AskAnswer.NoAgent;
            }
            _pending.Add(question.Id, pending);
            return null;
        }
    }

    private void Offer(PendingQuestion pending, AgentStream agent)
    {
        if (agent.MayAnswer(pending.Question) && agent.Offer(pending.Question, () => limits.Timeout - clock.GetElapsedTime(pending.Began)))
        {
            pending.Agents.Add(agent);
            pending.WasHeard = true;
        }
    }

    private void End(PendingQuestion pending)
    {
        lock (_gate)
        {
            _pending.Remove(pending.Question.Id);
            var outcome = pending.Answer is { IsCompletedSuccessfully: true, Result: var answer } ? answer.Outcome : "cancelled";
            foreach (var agent in pending.Agents.OfType<AgentStream>())
            {
                agent.Withdraw(pending.Question, outcome);
            }
        }
    }

    private void Enter(AgentStream agent)
    {
        lock (_gate)
        {
            if (_streams.Count >= limits.Agents)
            {
                throw new MgmtException(ErrorCode.MgmtBusyError, "There are %s agents, the most at a time", limits.Agents.ToString(System.Globalization.CultureInfo.InvariantCulture));
            }
            _streams.Add(agent, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            foreach (var pending in _pending.Values.OrderBy(pending => pending.Began))
            {
                Offer(pending, agent);
            }
            if (_isClosing)
            {
                agent.End(StreamEnd.Shutdown);
            }
        }
    }

    private void Leave(AgentStream agent)
    {
        lock (_gate)
        {
            _streams.Remove(agent, out var left);
            left!.SetResult();
            foreach (var pending in _pending.Values)
            {
                Lost(pending, agent);
            }
        }
    }

    /// <summary>An agent is not there any more; under the gate. When it was the last one, nobody will answer.</summary>
    private void Lost(PendingQuestion pending, object agent)
    {
        if (pending.Agents.Remove(agent) && pending.Agents.Count == 0 && !_isClosing)
        {
            pending.Settle(pending.WasHeard ? AskAnswer.AgentGone : AskAnswer.NoAgent);
        }
    }

    private async Task AskSocketAsync(PendingQuestion pending, IAskSocket socket, CancellationToken over)
    {
        try
        {
            if (await socket.AskAsync(pending.Question, over) is { } text)
            {
                var answer = Read(pending.Question, text) ?? AskAnswer.Unintelligible;
                if (pending.Settle(answer))
                {
                    Log.Answered(log, pending.Question.Id, answer.Outcome, socket.Name);
                }
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // Somebody else answered, or nobody in time.
            return;
        }
        catch (Exception error)
        {
            Log.AgentFailed(log, socket.Name, error);
        }
        lock (_gate)
        {
            Lost(pending, socket);
        }
    }

    /// <summary>SHAPE: <c>allow:TARGET</c> or <c>deny</c>; null for anything else.</summary>
    private static AskAnswer? Read(AskQuestion? question, string text)
    {
        const string allow = "allow:";
        if (text == "deny")
        {
            return AskAnswer.No;
        }
        if (!text.StartsWith(allow, StringComparison.Ordinal))
        {
            return null;
        }
        var target = text[allow.Length..];
        return question?.Targets.Contains(target, StringComparer.Ordinal) != false ? AskAnswer.Yes(target) : AskAnswer.InvalidChoice(VmStarter.Ascii(target));
    }

    private PendingQuestion? Find(string id)
    {
        lock (_gate)
        {
            return _pending.GetValueOrDefault(id);
        }
    }

    private AskAnswer Told(AskQuestion question, AskAnswer answer)
    {
        Log.AskEnded(log, question.Id, question.Source, question.Service, question.Rule, answer.Reason);
        return answer;
    }
}
