namespace Mgmt.Core;

/// <summary>The name of a label: letters, digits, <c>_ . -</c>, not only digits.</summary>
public readonly record struct LabelName : IComparable<LabelName>
{
    private readonly string? _value;

    private LabelName(string value) => _value = value;

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesInvalidLabelError.</summary>
    public static LabelName Parse(string text)
    {
        if (text.Length is 0 or > 64 || !Charset.IsAll(text, Charset.Word) || !text.AsSpan().ContainsAnyExceptInRange((char)48, (char)57))
        {
            throw new MgmtException(ErrorCode.QubesInvalidLabelError, "Not a label name: letters, digits, _ . - and not only digits, at most 64");
        }
        return new LabelName(text);
    }

    /// <summary>By code point.</summary>
    public int CompareTo(LabelName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
