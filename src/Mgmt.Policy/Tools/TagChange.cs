namespace Mgmt.Policy;

/// <summary>What a tag on the target would change.</summary>
/// <param name="Tag">The tag.</param>
/// <param name="Added">Whether it would be added; otherwise removed.</param>
/// <param name="Outcome">The answer then.</param>
public sealed record TagChange(string Tag, bool Added, PolicyOutcome Outcome);
