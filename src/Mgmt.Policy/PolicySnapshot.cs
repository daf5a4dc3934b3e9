namespace Mgmt.Policy;

/// <summary>The set in force at a moment.</summary>
/// <param name="Set">The set; never null.</param>
/// <param name="Stale">Whether the files on disk are broken, so that the set is an older one (or only the built-in rule).</param>
/// <param name="Since">When it became so: the set was loaded, or the files were first found broken; for a set kept over a restart, when it was stored.</param>
/// <param name="Errors">What is wrong with the files on disk; empty when not stale.</param>
public sealed record PolicySnapshot(PolicySet Set, bool Stale, DateTimeOffset Since, IReadOnlyList<PolicyDiagnostic> Errors);
