namespace Mgmt.Policy;

// rule         = SERVICE ARG service-rule               in files of the new format
// service-rule = SOURCE TARGET ACTION *parameter        in files included for one service
internal static class RuleParser
{
    /// <summary>Parses what follows the call pattern; the words stand before the source.</summary>
    public static RuleError? Parse(ref Words words, CallPattern call, FileContext file, int line, WordPool pool, out Rule? rule)
    {
        rule = null;
        words.TryNext(out var word);
        if (TokenParser.Parse(word, TokenColumn.Source, pool, out var source) is { } sourceError)
            return new RuleError(words.Column, sourceError);
        words.TryNext(out word);
        var targetColumn = words.Column;
        if (TokenParser.Parse(word, TokenColumn.Target, pool, out var target) is { } targetError)
            return new RuleError(targetColumn, targetError);
        words.TryNext(out word);
        if (!TryAction(word, out var action))
            return new RuleError(words.Column, $"invalid action {Spelling.Quote(word)}: expected allow, deny or ask");
        RuleParameters? parameters = null;
        if (words.CountRest() > 0)
        {
            parameters = new RuleParameters();
            if (parameters.Parse(ref words, action, pool) is { } error)
                return error;
        }
        if (target.Kind == TokenKind.Default && action == PolicyAction.Allow && parameters?.Redirect is null)
            return new RuleError(targetColumn, "allow for the target @default says nowhere to go: expected target=");
        rule = new Rule
        {
            File = file.Display,
            Line = line,
            Service = call.Service,
            Argument = call.Argument,
            Source = source,
            Target = target,
            Action = action,
            Redirect = parameters?.Redirect,
            DefaultTarget = parameters?.DefaultTarget,
            User = parameters?.User,
            Notify = parameters?.Notify ?? action == PolicyAction.Deny,
            Autostart = parameters?.Autostart ?? true,
            IsLegacy = file.IsLegacy,
        };
        return null;
    }

    private static bool TryAction(ReadOnlySpan<char> word, out PolicyAction action)
    {
        action = word switch
        {
            "allow" => PolicyAction.Allow,
            "ask" => PolicyAction.Ask,
            _ => PolicyAction.Deny,
        };
        return word is "allow" or "ask" or "deny";
    }
}
