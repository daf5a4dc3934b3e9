namespace Mgmt.Policy;

// parameter = key "=" value      the first "=" splits; each key once; which keys are taken depends on the action
internal sealed class RuleParameters
{
    private const string Keys = "target=, default_target=, user=, notify= or autostart=";

    public Token? Redirect { get; private set; }
    public Token? DefaultTarget { get; private set; }
    public string? User { get; private set; }
    public bool? Notify { get; private set; }
    public bool? Autostart { get; private set; }

    private bool _userSeen;

    public RuleError? Parse(ref Words words, PolicyAction action, WordPool pool)
    {
        while (words.TryNext(out var word))
        {
            var equals = word.IndexOf('=');
            if (equals < 0)
                return new RuleError(words.Column, $"invalid parameter {Spelling.Quote(word)}: expected KEY=VALUE with {Keys}");
            if (Set(word[..equals], word[(equals + 1)..], action, pool) is { } message)
                return new RuleError(words.Column, message);
        }
        return null;
    }

    private string? Set(ReadOnlySpan<char> key, ReadOnlySpan<char> value, PolicyAction action, WordPool pool)
    {
        if (IsSet(key))
            return $"parameter {key}= given twice";
        switch (key)
        {
            case "notify":
                return SetFlag(key, value, flag => Notify = flag);
            case "autostart" when action != PolicyAction.Deny:
                return SetFlag(key, value, flag => Autostart = flag);
            case "user" when action != PolicyAction.Deny:
                _userSeen = true;
                User = pool.Get(value);
                return null;
            case "target" when action != PolicyAction.Deny:
                return SetToken(value, pool, token => Redirect = token);
            case "default_target" when action == PolicyAction.Ask:
                return SetToken(value, pool, token => DefaultTarget = token);
            default:
                return $"parameter {Spelling.Quote(key)} is not taken here: expected {Expected(action)}";
        }
    }

    private bool IsSet(ReadOnlySpan<char> key) => key switch
    {
        "notify" => Notify is not null,
        "autostart" => Autostart is not null,
        "user" => _userSeen,
        "target" => Redirect is not null,
        "default_target" => DefaultTarget is not null,
        _ => false,
    };

    private static string? SetFlag(ReadOnlySpan<char> key, ReadOnlySpan<char> value, Action<bool> set)
    {
        if (value is not ("yes" or "no"))
            return $"{key}= is {Spelling.Quote(value)}: expected yes or no";
        set(value is "yes");
        return null;
    }

    private static string? SetToken(ReadOnlySpan<char> value, WordPool pool, Action<Token> set)
    {
        var error = TokenParser.Parse(value, TokenColumn.Redirect, pool, out var token);
        if (error is null)
            set(token);
        return error;
    }

    private static string Expected(PolicyAction action) => action switch
    {
        PolicyAction.Allow => "target=, user=, notify= or autostart= after allow",
        PolicyAction.Ask => Keys + " after ask",
        _ => "notify= after deny",
    };
}
