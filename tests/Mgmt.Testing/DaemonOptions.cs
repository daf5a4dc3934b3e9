namespace Mgmt.Testing;

/// <summary>How a test wants its daemon.</summary>
public sealed record DaemonOptions
{
    /// <summary>A test host as a document (docs/test-host.md); null for <c>test:///default</c>.</summary>
    public string? Host { get; init; }

    /// <summary>The backend's URI; null for the test host above.</summary>
    public string? Backend { get; init; }

    /// <summary>Environment variables it has beside ours.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The user it runs as, the group of the same number and no other groups, owner of its directories and at home in them; null for ours. Needs root.</summary>
    public int? Uid { get; init; }

    /// <summary>Rule files by name, beside those of the default policy.</summary>
    public IReadOnlyDictionary<string, string> Policy { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Whether the policy directory begins with the repository's default policy.</summary>
    public bool WithDefaultPolicy { get; init; } = true;

    /// <summary>The configuration file's text; null for an empty one.</summary>
    public string? Config { get; init; }

    /// <summary>Another daemon's state directory, or null for one of its own.</summary>
    public string? StateDirectory { get; init; }

    /// <summary>Another daemon's run directory, or null for one of its own.</summary>
    public string? RunDirectory { get; init; }

    /// <summary>Words in front of the program's: what starts it. It is then ended by what started it, not by us.</summary>
    public IReadOnlyList<string> StartedBy { get; init; } = [];
}
