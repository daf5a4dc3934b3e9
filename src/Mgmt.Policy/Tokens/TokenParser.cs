namespace Mgmt.Policy;

// token    = word | "*" | "@anyvm" | "@adminvm" | "@default" | "@dispvm"
//          | "@dispvm:" word | "@dispvm:@tag:" word | "@tag:" word | "@type:" word
// A word that neither starts with "@" nor equals "*" is always a name; which of the rest are taken depends on the column.
internal static class TokenParser
{
    private const string Names = "a VM name, uuid:UUID, @adminvm";
    private const string SourceWords = Names + ", *, @anyvm, @tag:TAG, @type:TYPE";
    private const string TargetWords = SourceWords + ", @default, @dispvm, @dispvm:TEMPLATE, @dispvm:@tag:TAG";
    private const string RedirectWords = Names + ", @dispvm, @dispvm:TEMPLATE";

    /// <summary>Parses a word; the error is null when it is fine.</summary>
    public static string? Parse(ReadOnlySpan<char> word, TokenColumn column, WordPool pool, out Token token)
    {
        token = default;
        if (word.IsEmpty)
            return $"empty {Describe(column)}: expected {Expected(column)}";
        if (!TryClassify(word, out var kind, out var prefixLength) || !Takes(column, kind))
            return $"invalid {Describe(column)} {Spelling.Quote(word)}: expected {Expected(column)}";
        var value = word[prefixLength..];
        if (prefixLength > 0 && value.IsEmpty && kind != TokenKind.Uuid)
            return $"nothing follows {word}: expected {Expected(column)}";
        if (prefixLength > 0 && value.StartsWith('@') && kind != TokenKind.Uuid)
            return $"invalid {Describe(column)} {Spelling.Quote(word)}: expected {Expected(column)}";
        var text = pool.Get(word);
        token = new Token(kind, prefixLength > 0 ? pool.Get(value) : kind == TokenKind.Name ? text : "", text);
        return null;
    }

    private static bool TryClassify(ReadOnlySpan<char> word, out TokenKind kind, out int prefixLength)
    {
        prefixLength = 0;
        kind = TokenKind.Name;
        // Most words: none of the others begins so.
        if (word[0] is not ('*' or '@' or 'd' or 'u'))
            return true;
        kind = word switch
        {
            "*" => TokenKind.Any,
            Spelling.AnyVm => TokenKind.AnyVm,
            Spelling.AdminVm or Spelling.Dom0 or Spelling.Dom0Uuid => TokenKind.AdminVm,
            Spelling.Default => TokenKind.Default,
            Spelling.DispVm => TokenKind.DispVm,
            _ => TokenKind.Name,
        };
        if (kind != TokenKind.Name)
            return true;
        (kind, prefixLength) = word switch
        {
            _ when word.StartsWith(Spelling.UuidPrefix) => (TokenKind.Uuid, Spelling.UuidPrefix.Length),
            _ when !word.StartsWith('@') => (TokenKind.Name, 0),
            _ when word.StartsWith(Spelling.DispVmTagPrefix) => (TokenKind.DispVmTag, Spelling.DispVmTagPrefix.Length),
            _ when word.StartsWith(Spelling.DispVmPrefix) => (TokenKind.DispVmOf, Spelling.DispVmPrefix.Length),
            _ when word.StartsWith(Spelling.TagPrefix) => (TokenKind.Tag, Spelling.TagPrefix.Length),
            _ when word.StartsWith(Spelling.TypePrefix) => (TokenKind.Type, Spelling.TypePrefix.Length),
            _ => (TokenKind.Any, -1),
        };
        return prefixLength >= 0;
    }

    // A source @dispvm:X is taken and never matches, as in qrexec.
    private static bool Takes(TokenColumn column, TokenKind kind) => column switch
    {
        TokenColumn.Source => kind is not (TokenKind.Default or TokenKind.DispVm),
        TokenColumn.Target => true,
        _ => kind is TokenKind.Name or TokenKind.Uuid or TokenKind.AdminVm or TokenKind.DispVm or TokenKind.DispVmOf,
    };

    private static string Describe(TokenColumn column) => column switch
    {
        TokenColumn.Source => "source",
        TokenColumn.Target => "target",
        _ => "redirect",
    };

    private static string Expected(TokenColumn column) => column switch
    {
        TokenColumn.Source => SourceWords,
        TokenColumn.Target => TargetWords,
        _ => RedirectWords,
    };
}
