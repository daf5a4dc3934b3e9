namespace Mgmt.Policy;

/// <summary>What a tag would change.</summary>
/// <param name="Tag">The tag.</param>
/// <param name="Added">Whether it would be added; otherwise removed.</param>
/// <param name="Vm">The VM: the target or the source of the call.</param>
/// <param name="Outcome">The answer then.</param>
public sealed record TagChange(string Tag, bool Added, string Vm, PolicyOutcome Outcome);
