namespace Mgmt.Core;

/// <summary>The name of a feature: letters, digits, <c>_ . -</c>.</summary>
public readonly record struct FeatureName : IComparable<FeatureName>
{
    private readonly string? _value;

    private FeatureName(string value) => _value = value;

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesValueError.</summary>
    public static FeatureName Parse(string text)
    {
        if (text.Length is 0 or > 255 || !Charset.IsAll(text, Charset.Word))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "feature name contains illegal characters");
        }
        return new FeatureName(text);
    }

    /// <summary>By code point.</summary>
    public int CompareTo(FeatureName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
