namespace Mgmt.Policy;

/// <summary>The answer to "may this management call be served here": yes or no, and by which rule.</summary>
/// <param name="Allowed">Whether the call may be served.</param>
/// <param name="IsAsk">Whether an ask rule decided; such a call is allowed only when somebody who is asked says yes.</param>
/// <param name="Rule">The deciding rule as `FILE:LINE`; `-` when no rule decided.</param>
/// <param name="Reason">A sentence for the audit line.</param>
/// <param name="Notify">Whether the rule (or the language's default) wants the user told.</param>
public readonly record struct CallDecision(bool Allowed, bool IsAsk, string Rule, string Reason, bool Notify)
{
    /// <summary>Of an ask: whether the rule's default_target= makes yes the answer to begin with.</summary>
    public bool YesIsDefault { get; init; }
}
