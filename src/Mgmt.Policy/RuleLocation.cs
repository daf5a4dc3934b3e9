namespace Mgmt.Policy;

/// <summary>Where a rule stands.</summary>
/// <param name="File">Path relative to the policy directory, such as `30-user.policy` or `include/admin-ro`; absolute for a file outside of it; `builtin`.</param>
/// <param name="Line">Line number, from 1.</param>
public sealed record RuleLocation(string File, int Line)
{
    /// <summary>The location as `FILE:LINE`.</summary>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{File}:{Line}");
}
