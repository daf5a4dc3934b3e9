namespace Mgmt.Policy;

/// <summary>The answer to "may this management call be served here": yes or no, and by which rule.</summary>
/// <param name="Allowed">Whether the call may be served.</param>
/// <param name="IsAsk">Whether an ask rule decided; such a call is not allowed.</param>
/// <param name="Rule">The deciding rule as `FILE:LINE`; `-` when no rule decided.</param>
/// <param name="Reason">A sentence for the audit line.</param>
/// <param name="Notify">Whether the rule (or the language's default) wants the user told.</param>
public readonly record struct CallDecision(bool Allowed, bool IsAsk, string Rule, string Reason, bool Notify);
