namespace Mgmt.Core;

/// <summary>A tag: letters, digits, <c>_ -</c>, and the name of a VM after <c>created-by-</c> and the like.</summary>
public readonly record struct TagName : IComparable<TagName>
{
    private static readonly string[] VmPrefixes = ["created-by-", "disp-created-by-", "managed-by-", "guivm-", "audiovm-"];
    private readonly string? _value;

    private TagName(string value) => _value = value;

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesInvalidTagError.</summary>
    public static TagName Parse(string text)
    {
        if (text.Length == 0)
        {
            throw new MgmtException(ErrorCode.QubesInvalidTagError, "tag cannot be empty");
        }
        if (text.Length > 255 || !Charset.IsAll(text, NamesVm(text) ? Charset.Word : Charset.Tag))
        {
            throw new MgmtException(ErrorCode.QubesInvalidTagError, "disallowed characters");
        }
        return new TagName(text);
    }

    /// <summary>What such a VM created is marked with.</summary>
    public static TagName CreatedBy(string source) => Parse("created-by-" + source);

    /// <summary>Tags that end in a VM's name may hold the dot that VM names may hold.</summary>
    private static bool NamesVm(string text) => VmPrefixes.Any(prefix => text.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>By code point.</summary>
    public int CompareTo(TagName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
