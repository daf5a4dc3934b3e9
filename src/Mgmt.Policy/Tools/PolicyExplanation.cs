using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>Why a call is answered as it is.</summary>
public sealed class PolicyExplanation
{
    private const int MostTags = 200;

    internal PolicyExplanation(PolicyOutcome outcome, string text, ImmutableArray<NearMiss> nearMisses, ImmutableArray<TagChange> tagChanges)
    {
        Outcome = outcome;
        Text = text;
        NearMisses = nearMisses;
        TagChanges = tagChanges;
    }

    /// <summary>The answer.</summary>
    public PolicyOutcome Outcome { get; }

    /// <summary>The deciding rule's line; empty when no rule decided, or one whose text is not shown: the built-in one, and those of files outside of the policy directories.</summary>
    public string Text { get; }

    /// <summary>The rules before the deciding one (all, when none decided) that but for one thing would have matched, in load order, at most 50.</summary>
    public IReadOnlyList<NearMiss> NearMisses { get; }

    /// <summary>The tags named in the rules (the first 200) that, put on the target or the source or taken off it, lead to another answer: the target's first, each ordered ordinally.</summary>
    public IReadOnlyList<TagChange> TagChanges { get; }

    /// <summary>Explains the answer of a set.</summary>
    /// <param name="set">The set.</param>
    /// <param name="request">The question.</param>
    /// <param name="domains">The VMs it is about.</param>
    public static PolicyExplanation Of(PolicySet set, PolicyRequest request, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(domains);
        var outcome = PolicyOutcome.Of(set, request, domains);
        var lines = new RuleLines(set.Origin.Inputs);
        var valid = CheckedRequest.Check(request, domains);
        if (valid.Error is not null)
            return new PolicyExplanation(outcome, "", [], []);
        var target = Spelling.IsManagement(request.Service) ? PolicySet.CallTarget(request.Target, valid.Target) : valid.Target;
        var deciding = set.Find(request, valid.Source, target, domains);
        var text = deciding < 0 ? "" : lines.Text(set.Rules[deciding]);
        var before = deciding < 0 ? set.Rules.Length : deciding;
        var misses = new NearMissSearch(set, request, valid.Source, target, domains).Find(before, lines);
        var vms = new[] { domains.Find(target), domains.Find(valid.Source) }.OfType<DomainInfo>().DistinctBy(vm => vm.Name);
        return new PolicyExplanation(outcome, text, misses, [.. vms.SelectMany(vm => TryTags(set, request, vm, outcome, domains))]);
    }

    private static IEnumerable<TagChange> TryTags(PolicySet set, PolicyRequest request, DomainInfo vm, PolicyOutcome now, IDomainDirectory domains)
    {
        var tags = set.Rules.Where(rule => set.IsAbout(rule, request.Service))
            .SelectMany(rule => new[] { rule.Source, rule.Target })
            .Where(token => token.Kind is TokenKind.Tag or TokenKind.DispVmTag)
            .Select(token => token.Value).Distinct().Take(MostTags).Order(StringComparer.Ordinal);
        foreach (var tag in tags)
        {
            var add = !vm.Tags.Contains(tag);
            var changed = vm with { Tags = add ? vm.Tags.Add(tag) : vm.Tags.Remove(tag) };
            var then = PolicyOutcome.Of(set, request, new ChangedDomain(domains, changed));
            if (then.Decision != now.Decision || then.Rule != now.Rule)
                yield return new TagChange(tag, add, vm.Name, then);
        }
    }
}
