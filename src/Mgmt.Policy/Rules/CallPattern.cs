namespace Mgmt.Policy;

/// <summary>The service and argument a rule is about, as written; null is any.</summary>
internal readonly record struct CallPattern(string? Service, string? Argument);
