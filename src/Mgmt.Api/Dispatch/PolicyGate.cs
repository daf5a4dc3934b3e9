using Mgmt.Policy;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Asks the policy. One question at a time is decided by the set and the state of that moment.</summary>
public sealed class PolicyGate(PolicyStore policy, StateStore store, RemovedVms removed)
{
    private volatile SnapshotDirectory _directory = new(store.Current, null);
    private volatile SnapshotDirectory _withRemoved = new(store.Current, removed);

    /// <summary>
    /// All questions of a call, until one is refused. A set with an error leaves the last good one in force.
    /// </summary>
    public PolicyVerdict Decide(CallContext call, string target) => Decide(call, target, null);

    /// <summary>The same once more, after somebody said yes to some of the questions: to those an ask is now an allow, and a deny still a deny.</summary>
    internal PolicyVerdict Decide(CallContext call, string target, HashSet<CallQuestion>? granted)
    {
        var snapshot = policy.Current;
        var row = call.Row;
        var argument = row.AskedArgument?.Invoke(call.Argument) ?? call.Argument;
        var directory = Directory();
        var verdict = Granted(Ask(snapshot, directory, call.Source, new(row.Name, argument, target), row.ValueArgument?.Invoke(call)), granted);
        if (verdict.Allowed && row.MoreQuestions is { } more)
        {
            foreach (var question in more(call))
            {
                var next = Granted(Ask(snapshot, directory, call.Source, question, null), granted);
                if (!next.Allowed)
                {
                    return next;
                }
                // The audit line names the rule that asked.
                verdict = next.IsAsk ? next : verdict;
            }
        }
        return verdict;
    }

    /// <summary>One question of a front end, that a call may follow.</summary>
    internal PolicyVerdict Decide(string source, CallQuestion question) => Ask(policy.Current, Directory(), source, question, null);

    /// <summary>Whether a value in the payload, which no front end knows, may decide otherwise.</summary>
    internal bool DependsOnValue(string source, CallQuestion question) => policy.Current.Set.DependsOnValue(Request(source, question), Directory());

    /// <summary>One question in the pure language, by the set and the state of this moment.</summary>
    internal (PolicyDecision Decision, SnapshotDirectory Directory, DateTimeOffset? StaleSince) Evaluate(PolicyRequest request, string? chosen)
    {
        var (snapshot, directory) = (policy.Current, Directory());
        var decision = chosen is null ? snapshot.Set.Evaluate(request, directory) : snapshot.Set.EvaluateChosen(request, chosen, directory);
        return (decision, directory, snapshot.Stale ? snapshot.Since : null);
    }

    /// <summary>One question outside a call: is this event for that subscriber? A VM that was removed is asked about as it was.</summary>
    public bool AllowsEvent(string source, CallQuestion question)
    {
        var directory = _withRemoved;
        if (!ReferenceEquals(directory.State, store.Current))
        {
            _withRemoved = directory = new(store.Current, removed);
        }
        return Ask(policy.Current, directory, source, question, null).Allowed;
    }

    private SnapshotDirectory Directory()
    {
        var directory = _directory;
        if (!ReferenceEquals(directory.State, store.Current))
        {
            _directory = directory = new(store.Current, null);
        }
        return directory;
    }

    private static PolicyVerdict Ask(PolicySnapshot snapshot, SnapshotDirectory directory, string source, CallQuestion question, string? valueArgument)
    {
        var decision = snapshot.Set.DecideCall(Request(source, question, valueArgument), directory);
        return new(decision.Allowed, decision.Rule, decision.Reason, decision.Notify, question, snapshot.Stale ? snapshot.Since : null)
        {
            IsAsk = decision.IsAsk, YesIsDefault = decision.YesIsDefault,
        };
    }

    private static PolicyRequest Request(string source, CallQuestion question, string? valueArgument = null) =>
        new(question.FullService, "+" + question.Argument, source, question.Target) { ValueArgument = valueArgument };

    private static PolicyVerdict Granted(PolicyVerdict verdict, HashSet<CallQuestion>? granted) =>
        verdict.IsAsk && granted?.Contains(verdict.Question) == true ? verdict with { Allowed = true, Reason = $"allowed by the user {verdict.Rule}" } : verdict;
}

/// <summary>What the policy said, which rule (FILE:LINE or <c>-</c>), why, and of which question; StaleSince when it is an older set's word.</summary>
public sealed record PolicyVerdict(bool Allowed, string Rule, string Reason, bool Notify, CallQuestion Question, DateTimeOffset? StaleSince)
{
    /// <summary>Whether an ask rule decided: allowed then means that somebody said yes.</summary>
    public bool IsAsk { get; init; }

    /// <summary>Of an ask: whether yes is the answer to begin with.</summary>
    public bool YesIsDefault { get; init; }
}
