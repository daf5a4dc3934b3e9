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
    public PolicyVerdict Decide(CallContext call, string target)
    {
        var snapshot = policy.Current;
        var row = call.Row;
        var argument = row.AskedArgument?.Invoke(call.Argument) ?? call.Argument;
        var directory = Directory();
        var verdict = Ask(snapshot, directory, call.Source, new(row.Name, argument, target), row.ValueArgument?.Invoke(call));
        if (verdict.Allowed && row.MoreQuestions is { } more)
        {
            foreach (var question in more(call))
            {
                var next = Ask(snapshot, directory, call.Source, question, null);
                if (!next.Allowed)
                {
                    return next;
                }
            }
        }
        return verdict;
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
        var request = new PolicyRequest("mgmt." + question.Service, "+" + question.Argument, source, question.Target) { ValueArgument = valueArgument };
        var decision = snapshot.Set.DecideCall(request, directory);
        return new(decision.Allowed, decision.Rule, decision.Reason, decision.Notify, question, snapshot.Stale ? snapshot.Since : null);
    }
}

/// <summary>What the policy said, which rule (FILE:LINE or <c>-</c>), why, and of which question; StaleSince when it is an older set's word.</summary>
public sealed record PolicyVerdict(bool Allowed, string Rule, string Reason, bool Notify, CallQuestion Question, DateTimeOffset? StaleSince);
