using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>Which rules match a question but for their argument, or their source, or their target.</summary>
internal sealed class NearMissSearch
{
    private const int Most = 50;

    private readonly PolicySet _set;
    private readonly PolicyRequest _request;
    private readonly string _source;
    private readonly string _target;
    private readonly HashSet<int> _sources;
    private readonly HashSet<int> _targets;

    public NearMissSearch(PolicySet set, PolicyRequest request, string source, string target, IDomainDirectory domains)
    {
        _set = set;
        _request = request;
        _source = source;
        _target = target;
        var matcher = new TokenMatcher(set.Index.Ids, domains);
        var sources = new TokenSet();
        matcher.Source(source, ref sources);
        _sources = [.. sources.Ids];
        var targets = new TokenSet();
        matcher.Target(target, source, ref targets);
        _targets = [.. targets.Ids];
    }

    /// <summary>Looks at the rules before a number; at most 50 are given.</summary>
    public ImmutableArray<NearMiss> Find(int before, RuleLines lines)
    {
        var found = ImmutableArray.CreateBuilder<NearMiss>();
        for (var order = 0; order < before && found.Count < Most; order++)
        {
            var rule = _set.Rules[order];
            if (_set.IsAbout(rule, _request.Service) && Why(rule) is { } why)
                found.Add(new NearMiss(rule.Text, lines.Text(rule), why));
        }
        return found.ToImmutable();
    }

    private string? Why(Rule rule)
    {
        var argument = _request.Argument.Length == 0 ? "+" : _request.Argument;
        var argumentMatches = rule.Argument is null || rule.Argument == argument || rule.Argument == _request.ValueArgument;
        var sourceMatches = _sources.Contains(_set.Index.Ids.Of(rule.Source));
        var targetMatches = _targets.Contains(_set.Index.Ids.Of(rule.Target));
        return (argumentMatches, sourceMatches, targetMatches) switch
        {
            (false, true, true) => $"argument: the rule has {rule.Argument}, the call {argument}",
            (true, false, true) => $"source: {_source} is not {rule.Source.Text}",
            (true, true, false) => $"target: {_target} is not {rule.Target.Text}",
            _ => null,
        };
    }
}
