namespace Mgmt.Core;

/// <summary>The name of a storage pool: letters, digits, <c>_ . -</c>, starting with a letter, digit or <c>_</c>.</summary>
public readonly record struct PoolName : IComparable<PoolName>
{
    private readonly string? _value;

    private PoolName(string value) => _value = value;

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesValueError.</summary>
    public static PoolName Parse(string text)
    {
        if (text.Length is 0 or > 64 || text[0] is (char)45 or (char)46 || !Charset.IsAll(text, Charset.Word))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "pool name contains illegal characters");
        }
        return new PoolName(text);
    }

    /// <summary>By code point.</summary>
    public int CompareTo(PoolName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
