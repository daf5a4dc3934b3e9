namespace Mgmt.Policy;

/// <summary>How rule files become a set. The defaults are the pure language.</summary>
public sealed record PolicyOptions
{
    /// <summary>Whether `admin.X` and `mgmt.X` are one service, in rules and in questions.</summary>
    public bool FoldManagementServices { get; init; }

    /// <summary>Whether `* * dom0 * allow` stands after the last file, shown as `builtin:1`.</summary>
    public bool BuiltinRule { get; init; }

    /// <summary>Whether the live set leaves only `builtin:1` in force while the files are broken, instead of the last good set.</summary>
    public bool DenyWhenBroken { get; init; }

    /// <summary>Whether files outside of the policy directories (and of <see cref="LegacyDirectory"/>) may not be included, also not by way of a link.</summary>
    public bool ConfineIncludes { get; init; }

    /// <summary>The directory of per-service files that `!compat-4.0` reads; absolute.</summary>
    public string LegacyDirectory { get; init; } = "/etc/qubes-rpc/policy";
}
