using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>What came of loading: a set, or all the mistakes that stand in its way.</summary>
public sealed class PolicyLoad
{
    internal PolicyLoad(PolicySet? set, ImmutableArray<Rule> rules, ImmutableArray<PolicyDiagnostic> errors, ImmutableArray<PolicyFile> inputs, ImmutableArray<string> listed, ImmutableArray<string> includeDirectories)
    {
        Set = set;
        Rules = rules;
        Errors = errors;
        Inputs = inputs;
        Listed = listed;
        IncludeDirectories = includeDirectories;
    }

    /// <summary>The compiled set; null when there are errors.</summary>
    public PolicySet? Set { get; }

    /// <summary>Every mistake, in load order, at most 1000; empty when there is a set.</summary>
    public IReadOnlyList<PolicyDiagnostic> Errors { get; }

    /// <summary>The rules that could be read, also when there are errors, in load order.</summary>
    internal ImmutableArray<Rule> Rules { get; }

    /// <summary>The files that were read, each once, in load order.</summary>
    internal ImmutableArray<PolicyFile> Inputs { get; }

    /// <summary>The directories that were included as a whole; an empty one leaves no other trace.</summary>
    internal ImmutableArray<string> Listed { get; }

    /// <summary>The directories an include or a link pointed into, and those included as a whole, whether or not there was a file.</summary>
    internal ImmutableArray<string> IncludeDirectories { get; }
}
