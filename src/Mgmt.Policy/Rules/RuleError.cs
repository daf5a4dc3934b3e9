namespace Mgmt.Policy;

/// <summary>What is wrong with a line, and at which column.</summary>
internal readonly record struct RuleError(int Column, string Message);
