namespace Mgmt.Policy;

/// <summary>What of a policy is drawn.</summary>
public sealed record PolicyGraphOptions
{
    /// <summary>The only services; empty for all.</summary>
    public IReadOnlyList<string> Services { get; init; } = [];

    /// <summary>The only callers, by name; empty for all but dom0.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];

    /// <summary>The only requested targets: names, `@default`, `@dispvm`; empty for all.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Whether calls that the user is asked about are drawn too.</summary>
    public bool IncludeAsk { get; init; }

    /// <summary>Whether edges are labelled with the calls.</summary>
    public bool Labels { get; init; } = true;
}
