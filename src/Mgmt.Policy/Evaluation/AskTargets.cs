using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>What an ask rule without `target=` offers: everything the rules for this call and source would allow or ask.</summary>
internal sealed class AskTargets(ImmutableArray<Rule> rules, RuleIndex index, bool fold, IDomainDirectory domains)
{
    /// <summary>The targets, ordered ordinally.</summary>
    public IEnumerable<string> Collect(PolicyRequest request, string source)
    {
        var matched = MatchingSources(source);
        var found = new HashSet<string>(StringComparer.Ordinal);
        for (var i = rules.Length - 1; i >= 0; i--)
        {
            var rule = rules[i];
            if (!RuleIndex.Concerns(rule, request, fold) || !matched.Contains(index.Ids.Of(rule.Source)))
                continue;
            var targets = Expand(rule.Redirect ?? rule.Target);
            if (rule.Action == PolicyAction.Deny)
                found.ExceptWith(targets);
            else
                found.UnionWith(targets);
        }
        return Finish(found, source).Where(target => !IsDenied(target, request, source)).Order(StringComparer.Ordinal);
    }

    private HashSet<int> MatchingSources(string source)
    {
        var set = new TokenSet();
        new TokenMatcher(index.Ids, domains).Source(source, ref set);
        return [.. set.Ids];
    }

    // A domain or template that is gone adds nothing (Q6).
    private IEnumerable<string> Expand(Token token) => token.Kind switch
    {
        TokenKind.Any => EveryTarget(_ => true),
        TokenKind.AnyVm => EveryTarget(domain => !Spelling.IsDom0(domain.Name)),
        TokenKind.AdminVm => [Spelling.AdminVm],
        TokenKind.DispVm => [Spelling.DispVm],
        TokenKind.Name => domains.Find(token.Value) is { } domain ? [domain.Name] : [],
        TokenKind.Uuid => domains.Find(token.Text) is { } domain ? [domain.Name] : [],
        TokenKind.Tag => domains.All.Where(domain => domain.Tags.Contains(token.Value)).Select(domain => domain.Name),
        TokenKind.Type => domains.All.Where(domain => domain.Type == token.Value).Select(domain => domain.Name),
        TokenKind.DispVmOf => domains.Find(token.Value) is { TemplateForDispvms: true } domain ? [Spelling.DispVmPrefix + domain.Name] : [],
        TokenKind.DispVmTag => domains.All.Where(domain => domain.TemplateForDispvms && domain.Tags.Contains(token.Value)).Select(domain => Spelling.DispVmPrefix + domain.Name),
        _ => [],
    };

    private IEnumerable<string> EveryTarget(Func<DomainInfo, bool> takes)
    {
        foreach (var domain in domains.All)
        {
            if (takes(domain))
                yield return domain.Name;
            if (domain.TemplateForDispvms)
                yield return Spelling.DispVmPrefix + domain.Name;
        }
        yield return Spelling.DispVm;
    }

    private HashSet<string> Finish(HashSet<string> found, string source)
    {
        var self = domains.Find(source);
        if (found.Remove(Spelling.DispVm) && self?.DefaultDispvm is { } template)
            found.Add(Spelling.DispVmPrefix + template);
        if (found.Remove(Spelling.AdminVm))
            found.Add(Spelling.Dom0);
        found.Remove(source);
        if (self is not null)
            found.Remove(self.Name);
        found.RemoveWhere(target => domains.Find(target) is { Internal: true });
        return found;
    }

    // Collecting takes a deny away only where it is spelled like the allow (Q5). So what is left is asked once more, in
    // all its spellings at a time: the first rule that matches any of them must not be a deny.
    private bool IsDenied(string target, PolicyRequest request, string source)
    {
        var matcher = new TokenMatcher(index.Ids, domains);
        var sources = new TokenSet();
        matcher.Source(source, ref sources);
        var targets = new TokenSet();
        matcher.Target(target, source, ref targets);
        if (domains.Find(source)?.DefaultDispvm is { } template && target == Spelling.DispVmPrefix + template)
            matcher.Target(Spelling.DispVm, source, ref targets);
        var order = index.FirstMatch(request, sources, targets);
        return order >= 0 && rules[order].Action == PolicyAction.Deny;
    }
}
