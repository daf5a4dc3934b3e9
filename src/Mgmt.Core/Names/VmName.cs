namespace Mgmt.Core;

/// <summary>The name of a VM: a letter, then letters, digits, <c>_ . -</c>; at most 31 characters. SOURCE: docs/wire.md.</summary>
public readonly record struct VmName : IComparable<VmName>
{
    private readonly string? _value;

    private VmName(string value) => _value = value;

    /// <summary>The host itself, the one AdminVM.</summary>
    public static VmName Dom0 { get; } = new("dom0");

    /// <summary>The name as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks a name. ERRORS: QubesValueError.</summary>
    public static VmName Parse(string text)
    {
        if (text.Length is 0 or > 31)
        {
            throw new MgmtException(ErrorCode.QubesValueError, text.Length == 0 ? "VM name cannot be empty" : "VM name must be shorter than 32 characters");
        }
        if (!char.IsAsciiLetter(text[0]))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "VM name cannot start with hyphen, underscore, dot or numbers");
        }
        if (!Charset.IsAll(text, Charset.Word))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "VM name contains illegal characters");
        }
        if (text is "Domain-0")
        {
            throw new MgmtException(ErrorCode.QubesValueError, "VM name cannot be 'Domain-0'");
        }
        if (text is "none" or "default")
        {
            throw new MgmtException(ErrorCode.QubesValueError, "VM name cannot be 'none' nor 'default'");
        }
        if (text.EndsWith("-dm", StringComparison.Ordinal))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "VM name cannot end with -dm");
        }
        return new VmName(text);
    }

    /// <summary>The name, or null when the text cannot be one.</summary>
    public static VmName? TryParse(string text) =>
        text.Length is > 0 and <= 31 && char.IsAsciiLetter(text[0]) && Charset.IsAll(text, Charset.Word)
        && text is not ("Domain-0" or "none" or "default") && !text.EndsWith("-dm", StringComparison.Ordinal)
            ? new VmName(text)
            : null;

    /// <summary>By code point.</summary>
    public int CompareTo(VmName other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The name as text.</summary>
    public override string ToString() => Value;
}
