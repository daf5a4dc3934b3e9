namespace Mgmt.Core;

/// <summary>The id of a volume within its pool, such as <c>appvms/work/private</c>: words of letters, digits, <c>_ . -</c> between single slashes, none of them <c>.</c> or <c>..</c>.</summary>
public readonly record struct Vid : IComparable<Vid>
{
    private readonly string? _value;

    private Vid(string value) => _value = value;

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesValueError.</summary>
    public static Vid Parse(string text)
    {
        if (text.Length is 0 or > 255 || !Charset.IsAll(text, Charset.Vid) || text.Split((char)47).Any(part => part is "" or "." or ".."))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "volume id contains illegal characters");
        }
        return new Vid(text);
    }

    /// <summary>By code point.</summary>
    public int CompareTo(Vid other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
