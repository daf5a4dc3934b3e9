using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// What an ask rule makes of a call: a yes or no about the requested target, question by question. After each yes the policy is asked again, as it then is,
/// so a rule that denies by now, in whatever spelling, denies.
/// </summary>
public sealed class CallAsking(PolicyGate policy, StateStore store, PendingQuestions questions, RememberedAnswers remembered)
{
    /// <summary>The last verdict. Ends with the call's token: a caller that went away, call.Cancel.</summary>
    internal async ValueTask<PolicyVerdict> SettleAsync(CallContext call, string target, PolicyVerdict verdict, ActiveCall active)
    {
        if (call.Row.AskIsDenial)
        {
            return Refused(verdict, $"ask counts as deny for {call.Row.Name}");
        }
        active.BeginAsking();
        var granted = new HashSet<CallQuestion>();
        while (verdict is { IsAsk: true, Allowed: false })
        {
            var subject = AskSubject.Of(call.State, call.Source, verdict.Question);
            if (!remembered.Take(subject))
            {
                var answer = await questions.AskAsync(Question(call, verdict), active.Token);
                if (answer.Target is null)
                {
                    return Refused(verdict, answer.Reason);
                }
            }
            call.State = store.Current;
            if (AskSubject.Of(call.State, call.Source, verdict.Question) != subject)
            {
                return Refused(verdict, "not the VM any more that was asked about");
            }
            granted.Add(verdict.Question);
            verdict = policy.Decide(call, target, granted);
        }
        active.EndAsking();
        return verdict;
    }

    internal static PolicyVerdict Refused(PolicyVerdict verdict, string reason) =>
        verdict with { Allowed = false, Reason = reason == AskAnswer.No.Reason ? $"{reason} {verdict.Rule}" : reason };

    private static AskQuestion Question(CallContext call, PolicyVerdict verdict)
    {
        var (row, asked) = (call.Row, verdict.Question);
        // Who answers sees the value too; only the first question is about one.
        var isFirst = asked.Service == row.Name;
        var argument = (isFirst ? row.ValueArgument?.Invoke(call) : null) ?? "+" + asked.Argument;
        return new(call.Source, isFirst ? call.Request.Method : asked.FullService, argument, [asked.Target], verdict.YesIsDefault ? asked.Target : null, verdict.Rule)
        {
            Icons = AskIcons.For(call.State, [call.Source, asked.Target]),
        };
    }
}
