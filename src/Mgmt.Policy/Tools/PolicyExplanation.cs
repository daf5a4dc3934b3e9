using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>Why a call is answered as it is.</summary>
public sealed class PolicyExplanation
{
    private PolicyExplanation(PolicyOutcome outcome, string text, ImmutableArray<NearMiss> nearMisses, ImmutableArray<TagChange> tagChanges)
    {
        Outcome = outcome;
        Text = text;
        NearMisses = nearMisses;
        TagChanges = tagChanges;
    }

    /// <summary>The answer.</summary>
    public PolicyOutcome Outcome { get; }

    /// <summary>The deciding rule's line; empty when no rule decided, or the built-in one.</summary>
    public string Text { get; }

    /// <summary>The rules before the deciding one (all, when none decided) that but for one thing would have matched, in load order.</summary>
    public IReadOnlyList<NearMiss> NearMisses { get; }

    /// <summary>The tags named in the rules that, put on the target or taken off it, lead to another answer, ordered ordinally.</summary>
    public IReadOnlyList<TagChange> TagChanges { get; }

    /// <summary>Explains the answer of a set.</summary>
    /// <param name="load">A load that gave a set.</param>
    /// <param name="request">The question.</param>
    /// <param name="domains">The VMs it is about.</param>
    public static PolicyExplanation Of(PolicyLoad load, PolicyRequest request, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(load);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(domains);
        var set = load.Set ?? throw new ArgumentException("the load has errors", nameof(load));
        var outcome = PolicyOutcome.Of(set, request, domains);
        var lines = new RuleLines(load);
        var valid = CheckedRequest.Check(request, domains);
        if (valid.Error is not null)
            return new PolicyExplanation(outcome, "", [], []);
        var target = Spelling.IsManagement(request.Service) ? PolicySet.CallTarget(request.Target, valid.Target) : valid.Target;
        var deciding = set.Find(request, valid.Source, target, domains);
        var text = deciding < 0 ? "" : lines.Text(set.Rules[deciding]);
        var before = deciding < 0 ? set.Rules.Length : deciding;
        var misses = new NearMissSearch(set, request, valid.Source, target, domains).Find(before, lines);
        return new PolicyExplanation(outcome, text, misses, [.. TryTags(set, request, target, outcome, domains)]);
    }

    private static IEnumerable<TagChange> TryTags(PolicySet set, PolicyRequest request, string target, PolicyOutcome now, IDomainDirectory domains)
    {
        if (domains.Find(target) is not { } domain)
            yield break;
        var tags = set.Rules.SelectMany(rule => new[] { rule.Source, rule.Target })
            .Where(token => token.Kind is TokenKind.Tag or TokenKind.DispVmTag)
            .Select(token => token.Value).Distinct().Order(StringComparer.Ordinal);
        foreach (var tag in tags)
        {
            var add = !domain.Tags.Contains(tag);
            var changed = domain with { Tags = add ? domain.Tags.Add(tag) : domain.Tags.Remove(tag) };
            var then = PolicyOutcome.Of(set, request, SystemInfo.With(domains, changed));
            if (then.Decision != now.Decision || then.Rule != now.Rule)
                yield return new TagChange(tag, add, then);
        }
    }
}
