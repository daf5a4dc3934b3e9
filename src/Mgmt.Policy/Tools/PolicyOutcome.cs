namespace Mgmt.Policy;

/// <summary>An answer in words: what the daemon does with a management call, and the language's own answer for any other service.</summary>
/// <param name="Decision">`allow`, `ask` or `deny`.</param>
/// <param name="Rule">The deciding rule as `FILE:LINE`; `-` when no rule decided.</param>
/// <param name="Message">A sentence: why, and where the call goes.</param>
public sealed record PolicyOutcome(string Decision, string Rule, string Message)
{
    /// <summary>Where an allowed call goes; null for a management call, which the daemon serves, and for anything but allow.</summary>
    public string? GoesTo { get; init; }

    /// <summary>What the user may choose from, ordered ordinally with commas between; null for a management call and for anything but ask.</summary>
    public string? Choices { get; init; }

    /// <summary>Asks a set. A service `mgmt.X` or `admin.X` is a management call, anything else the pure language.</summary>
    /// <param name="set">The set.</param>
    /// <param name="request">The question.</param>
    /// <param name="domains">The VMs it is about.</param>
    public static PolicyOutcome Of(PolicySet set, PolicyRequest request, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(request);
        if (Spelling.IsManagement(request.Service))
        {
            var call = set.DecideCall(request, domains);
            return new PolicyOutcome(call.Allowed ? "allow" : call.IsAsk ? "ask" : "deny", call.Rule, call.Reason);
        }
        var decision = set.Evaluate(request, domains);
        var rule = decision.Rule ?? "-";
        return decision switch
        {
            PolicyDecision.Allow { Refused: { } refused } => new PolicyOutcome("deny", rule, $"allowed by {rule}, but {refused}"),
            PolicyDecision.Allow allow => new PolicyOutcome("allow", rule, $"allowed by {rule}, goes to {allow.Target}") { GoesTo = allow.Target },
            PolicyDecision.Ask ask => Ask(rule, string.Join(", ", ask.Targets)),
            PolicyDecision.Deny deny => new PolicyOutcome("deny", rule, deny.Message),
            PolicyDecision.RequestError error => new PolicyOutcome("deny", rule, error.Message),
            _ => throw new InvalidOperationException("a decision of no known kind"),
        };
    }

    private static PolicyOutcome Ask(string rule, string choices) => new("ask", rule, $"asked for by {rule}, one of {choices}") { Choices = choices };
}
