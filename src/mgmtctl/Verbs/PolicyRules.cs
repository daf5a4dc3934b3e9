using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>Rules that a tool reads, and where they are.</summary>
internal sealed class PolicyRules
{
    private PolicyRules(PolicySource source, IReadOnlyList<string> directories)
    {
        Source = source;
        Directories = directories;
    }

    public PolicySource Source { get; }

    /// <summary>The policy directories, here or on the daemon's side, the runtime one first.</summary>
    public IReadOnlyList<string> Directories { get; }

    /// <summary>The daemon's document, when that is where they are from.</summary>
    public PolicyDocument? Document { get; private init; }

    /// <summary>Rules on disk; all directories but the last one may be missing.</summary>
    public static PolicyRules Of(params IReadOnlyList<string> directories)
    {
        List<string> paths = [.. directories.Select(path => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))];
        return new(PolicySource.FromDirectories([.. paths.Select((path, index) => new PolicyDirectory(path, MayBeMissing: index < paths.Count - 1))]), paths);
    }

    /// <summary>Rules in force at a daemon. ERRORS: MgmtUnsupportedError when it does not give all of them.</summary>
    public static PolicyRules Of(PolicyDocument document) => document.Outside.Count == 0
        ? new(document.Source, document.Directories) { Document = document }
        : throw new MgmtException(ErrorCode.MgmtUnsupportedError,
            "The daemon does not give the text of %s, which is not below a policy directory; use --policy-dir on the host", string.Join(", ", document.Outside));

    /// <summary>The set; null when it has errors, which are told. Rules in force have none, but newer files may.</summary>
    /// <param name="run">Whom to tell.</param>
    /// <param name="label">What stands before each error.</param>
    public PolicySet? Load(Run run, string label = "")
    {
        foreach (var mistake in Document?.Mistakes ?? [])
        {
            run.Tell($"not in force, older rules are: {mistake}");
        }
        var load = PolicySet.Load(Source, PolicyInputs.Options);
        foreach (var error in load.Errors)
        {
            run.Tell(label + error);
        }
        return load.Set;
    }
}
