namespace Mgmt.Policy;

/// <summary>Finds the first rule that takes everything another one could match, by what their words say and not by the VMs there are.</summary>
internal sealed class RuleCover
{
    private readonly record struct Key(string? Service, string? Argument, TokenKind SourceKind, string Source, TokenKind TargetKind, string Target);

    private readonly Dictionary<Key, int> _first = [];
    private readonly IDomainDirectory? _domains;
    private readonly bool _anyTags;

    /// <param name="rules">The rules.</param>
    /// <param name="domains">The VMs, for what their names and tags mean; null for none.</param>
    /// <param name="anyTags">Whether it must hold whatever tags VMs will have: dom0 may get any.</param>
    public RuleCover(IReadOnlyList<Rule> rules, IDomainDirectory? domains, bool anyTags = false)
    {
        _domains = domains;
        _anyTags = anyTags;
        for (var order = 0; order < rules.Count; order++)
        {
            var rule = rules[order];
            foreach (var source in Spellings(rule.Source))
            {
                foreach (var target in Spellings(rule.Target))
                    _first.TryAdd(new Key(Fold(rule.Service), rule.Argument, source.Kind, source.Value, target.Kind, target.Value), order);
            }
        }
    }

    /// <summary>The number of the first rule for all calls of <paramref name="rule"/> from all its sources to all that the token means; the rule's own at the latest, when the token is its target.</summary>
    public int First(Rule rule, Token target)
    {
        var best = int.MaxValue;
        foreach (var service in Wider(Fold(rule.Service)))
        {
            foreach (var argument in Wider(rule.Argument))
            {
                foreach (var source in Wider(rule.Source))
                {
                    foreach (var wide in Wider(target))
                    {
                        if (_first.TryGetValue(new Key(service, argument, source.Kind, source.Value, wide.Kind, wide.Value), out var order) && order < best)
                            best = order;
                    }
                }
            }
        }
        return best;
    }

    // admin.X and mgmt.X are one service to the daemon.
    public static string? Fold(string? service) =>
        service is not null && service.StartsWith("admin.", StringComparison.Ordinal) ? "mgmt." + service["admin.".Length..] : service;

    private static string?[] Wider(string? word) => word is null ? [null] : [word, null];

    private IEnumerable<(TokenKind Kind, string Value)> Wider(Token token)
    {
        yield return (token.Kind, token.Value);
        if (token.Kind != TokenKind.Any)
            yield return (TokenKind.Any, "");
        if (NeverDom0(token))
            yield return (TokenKind.AnyVm, "");
    }

    // A VM's name and its UUID are one.
    private IEnumerable<(TokenKind Kind, string Value)> Spellings(Token token)
    {
        yield return (token.Kind, token.Value);
        if (token.Kind == TokenKind.Name && _domains?.Find(token.Value) is { Uuid.Length: > 0 } named)
            yield return (TokenKind.Uuid, named.Uuid);
        if (token.Kind == TokenKind.Uuid && _domains?.Find(token.Text) is { } numbered)
            yield return (TokenKind.Name, numbered.Name);
    }

    // dom0 by name matches its class and its tags, and never @anyvm.
    private bool NeverDom0(Token token) => token.Kind switch
    {
        TokenKind.Any or TokenKind.AnyVm or TokenKind.AdminVm => false,
        TokenKind.Type => token.Value != "AdminVM",
        TokenKind.Tag => !_anyTags && (_domains?.Find(Spelling.Dom0) is not { } dom0 || !dom0.Tags.Contains(token.Value)),
        _ => true,
    };
}
