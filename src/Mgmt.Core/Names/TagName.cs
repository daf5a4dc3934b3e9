namespace Mgmt.Core;

/// <summary>A tag: letters, digits, <c>_ -</c>; after <c>created-by-</c>, <c>disp-created-by-</c>, <c>guivm-</c> and <c>audiovm-</c>, which name VMs, also a dot.</summary>
public readonly record struct TagName : IComparable<TagName>
{
    private static readonly string[] BeforeVms = ["created-by-", "disp-created-by-", "guivm-", "audiovm-"];

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

    /// <summary>What a VM made by that source is marked with. ERRORS: QubesInvalidTagError.</summary>
    public static TagName CreatedBy(string source) => Parse("created-by-" + source);

    private static bool NamesVm(string text) => BeforeVms.Any(prefix => text.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>By code point.</summary>
    public int CompareTo(TagName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
