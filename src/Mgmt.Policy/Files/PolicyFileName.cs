using Mgmt.Core;

namespace Mgmt.Policy;

/// <summary>A file that the policy calls read and edit: <c>NAME.policy</c> of the policy directory, or <c>include/NAME</c> below it.</summary>
public readonly record struct PolicyFileName
{
    private const int MaxLength = 100;

    private PolicyFileName(bool isInclude, string name)
    {
        IsInclude = isInclude;
        Name = name;
    }

    /// <summary>Whether it is <c>include/NAME</c>.</summary>
    public bool IsInclude { get; }

    /// <summary>As the calls name it, without <c>.policy</c>.</summary>
    public string Name { get; }

    /// <summary>Below the policy directory, as rules and mistakes are located.</summary>
    public string Path => IsInclude ? $"include/{Name}" : $"{Name}.policy";

    /// <summary>
    /// Letters, digits, <c>_ -</c>. Capitals only in includes: the loader refuses a whole policy for one in the name of a rule file, so such a
    /// file could be made but never mended. ERRORS: QubesValueError.
    /// </summary>
    public static PolicyFileName Parse(bool isInclude, string text) =>
        text.Length is > 0 and <= MaxLength && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '_' or '-' || (isInclude && char.IsAsciiLetterUpper(c)))
            ? new(isInclude, text)
            : throw new MgmtException(ErrorCode.QubesValueError, "Not a name of a policy file: '%s'; expected up to 100 of a-z, 0-9, _ and -", text);
}
