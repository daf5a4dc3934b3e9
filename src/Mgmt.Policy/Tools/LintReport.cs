namespace Mgmt.Policy;

/// <summary>What is wrong with rule files.</summary>
/// <param name="Errors">What keeps a set from loading.</param>
/// <param name="Warnings">What loads and is probably not meant.</param>
public sealed record LintReport(IReadOnlyList<PolicyDiagnostic> Errors, IReadOnlyList<PolicyDiagnostic> Warnings);
