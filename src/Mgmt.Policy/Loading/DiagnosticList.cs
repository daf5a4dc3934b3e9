using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>The mistakes found so far: each once (a file may be included many times), and not without bound.</summary>
internal sealed class DiagnosticList
{
    private readonly List<PolicyDiagnostic> _all = [];
    private readonly HashSet<PolicyDiagnostic> _seen = [];

    public bool IsEmpty => _all.Count == 0;

    public bool IsFull => _all.Count >= PolicyLimits.Diagnostics;

    public void Add(PolicyDiagnostic diagnostic)
    {
        if (!IsFull && _seen.Add(diagnostic))
            _all.Add(diagnostic);
    }

    public ImmutableArray<PolicyDiagnostic> ToImmutable() => [.. _all];
}
