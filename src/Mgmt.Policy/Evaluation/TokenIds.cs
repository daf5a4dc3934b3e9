namespace Mgmt.Policy;

/// <summary>A number for every token that occurs in a set; equal tokens have the same one, in both columns.</summary>
internal sealed class TokenIds
{
    public const int Any = 0;
    public const int AnyVm = 1;
    public const int AdminVm = 2;
    public const int Default = 3;
    public const int DispVm = 4;

    private const int FirstValued = 5;

    private readonly Dictionary<string, int>[] _byKind = new Dictionary<string, int>[(int)TokenKind.DispVmTag + 1];
    private int _next = FirstValued;

    public TokenIds()
    {
        for (var kind = 0; kind < _byKind.Length; kind++)
            _byKind[kind] = new Dictionary<string, int>(StringComparer.Ordinal);
    }

    public bool Has(TokenKind kind) => _byKind[(int)kind].Count > 0;

    public int Add(in Token token)
    {
        if (Fixed(token.Kind) is var known and >= 0)
            return known;
        var values = _byKind[(int)token.Kind];
        if (!values.TryGetValue(token.Value, out var id))
            values[token.Value] = id = _next++;
        return id;
    }

    /// <summary>The number of a token of the set's own rules.</summary>
    public int Of(in Token token) => Fixed(token.Kind) is var known and >= 0 ? known : _byKind[(int)token.Kind][token.Value];

    /// <summary>The number of a valued token, or -1 when no rule has it.</summary>
    public int Find(TokenKind kind, string value) => _byKind[(int)kind].TryGetValue(value, out var id) ? id : -1;

    /// <summary>The same for a value inside a longer word, without making a string of it.</summary>
    public int Find(TokenKind kind, ReadOnlySpan<char> value) =>
        _byKind[(int)kind].GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(value, out var id) ? id : -1;

    private static int Fixed(TokenKind kind) => kind switch
    {
        TokenKind.Any => Any,
        TokenKind.AnyVm => AnyVm,
        TokenKind.AdminVm => AdminVm,
        TokenKind.Default => Default,
        TokenKind.DispVm => DispVm,
        _ => -1,
    };
}
