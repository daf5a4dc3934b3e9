namespace Mgmt.Policy;

/// <summary>A rule about the same service that would have matched but for one thing.</summary>
/// <param name="Rule">The rule as `FILE:LINE`.</param>
/// <param name="Text">Its line.</param>
/// <param name="Why">What does not match: the argument, the source or the target, and what the call has instead.</param>
public sealed record NearMiss(string Rule, string Text, string Why);
