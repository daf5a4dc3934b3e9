namespace Mgmt.Policy;

/// <summary>A question that two sets answer differently.</summary>
/// <param name="Request">The question; its service is `*` for all services that no rule names.</param>
/// <param name="Before">The first set's answer.</param>
/// <param name="After">The second set's answer.</param>
public sealed record DecisionChange(PolicyRequest Request, PolicyOutcome Before, PolicyOutcome After);
