namespace Mgmt.Api;

/// <summary>One line of the audit log. Payloads and values are never in it.</summary>
public readonly record struct AuditRecord(
    long CallId,
    CallRequest? Request,
    string? Target,
    Caller Caller,
    PolicyVerdict? Verdict,
    string Outcome,
    TimeSpan Took)
{
    /// <summary>How many items of the reply the policy kept from the caller.</summary>
    public int Withheld { get; init; }
}
