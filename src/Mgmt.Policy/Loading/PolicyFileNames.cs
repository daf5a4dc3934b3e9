namespace Mgmt.Policy;

/// <summary>Which entries of a policy directory (or of one included as a whole) are rule files.</summary>
internal static class PolicyFileNames
{
    public const string Suffix = ".policy";
    public const string Expected = "invalid file name: expected only a-z, 0-9, '_', '.' and '-'";

    /// <summary>Whether the entry counts at all. A temporary name begins with a dot or ends in something else.</summary>
    public static bool IsTaken(string name) => name.EndsWith(Suffix, StringComparison.Ordinal) && !name.StartsWith('.');

    /// <summary>Whether the name of an entry that counts is one that may be.</summary>
    public static bool IsValid(string name) => name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '_' or '.' or '-');
}
