namespace Mgmt.Core;

/// <summary>The id of a revision within its volume, such as <c>12</c>: letters, digits, <c>_ . -</c>. What the caller of Snapshot gets back.</summary>
public readonly record struct RevisionId : IComparable<RevisionId>
{
    private readonly string? _value;

    private RevisionId(string value) => _value = value;

    /// <summary>The id as text.</summary>
    public string Value => _value ?? "";

    /// <summary>Checks an id. ERRORS: QubesVolumeRevisionNotFoundError: what cannot be an id is none.</summary>
    public static RevisionId Parse(string text)
    {
        if (text.Length is 0 or > 64 || !Charset.IsAll(text, Charset.Word))
        {
            throw new MgmtException(ErrorCode.QubesVolumeRevisionNotFoundError, "No such revision: '%s'", text);
        }
        return new RevisionId(text);
    }

    /// <summary>Numbers by their value, others by code point.</summary>
    public int CompareTo(RevisionId other) => ulong.TryParse(Value, out var mine) && ulong.TryParse(other.Value, out var others)
        ? mine.CompareTo(others)
        : string.CompareOrdinal(Value, other.Value);

    /// <summary>The id as text.</summary>
    public override string ToString() => Value;
}
