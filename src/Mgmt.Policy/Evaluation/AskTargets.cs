using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>What an ask rule without `target=` offers: everything the rules for this call and source would allow or ask.</summary>
internal sealed class AskTargets(ImmutableArray<Rule> rules, RuleIndex index, bool fold, IDomainDirectory domains)
{
    /// <summary>
    /// The targets, ordered ordinally. Per target the first rule that names it decides, whichever way it spells it: qrexec
    /// lets a deny cancel only its own spelling of dom0 or of the default disposable, and so offers what is denied (Q5).
    /// </summary>
    public IEnumerable<string> Collect(PolicyRequest request, string source)
    {
        var matched = MatchingSources(source);
        var self = domains.Find(source);
        var decided = new HashSet<string>(StringComparer.Ordinal) { source, self?.Name ?? source };
        var offered = new List<string>();
        foreach (var rule in rules)
        {
            if (!RuleIndex.Concerns(rule, request, fold) || !matched.Contains(index.Ids.Of(rule.Source)))
                continue;
            foreach (var spelled in Expand(rule.Redirect ?? rule.Target))
            {
                if (OneSpelling(spelled, self) is { } target && decided.Add(target) && rule.Action != PolicyAction.Deny)
                    offered.Add(target);
            }
        }
        return offered.Where(target => domains.Find(Template(target) ?? target) is not { Internal: true }).Order(StringComparer.Ordinal);
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

    private static string? OneSpelling(string target, DomainInfo? source) => target switch
    {
        Spelling.AdminVm => Spelling.Dom0,
        Spelling.DispVm => source?.DefaultDispvm is { } template ? Spelling.DispVmPrefix + template : null,
        _ => target,
    };

    private static string? Template(string target) =>
        target.StartsWith(Spelling.DispVmPrefix, StringComparison.Ordinal) ? target[Spelling.DispVmPrefix.Length..] : null;
}
