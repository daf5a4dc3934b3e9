namespace Mgmt.Policy;

/// <summary>
/// Finds the first rule that matches, without walking the rules: a rule is filed under (call, source token, target
/// token), and a question looks up the few tokens its words match. Of rules filed under one key only the first counts.
/// </summary>
internal sealed class RuleIndex
{
    private const int AnyCall = 0;
    private const string NoArgument = "+";
    private const string AdminPrefix = "admin.";
    private const string MgmtPrefix = "mgmt.";

    // service -> argument -> call number; the argument "*" stands for any (an argument of a request begins with +).
    private readonly Dictionary<string, Dictionary<string, int>> _calls = new(StringComparer.Ordinal);
    // (call, source token) -> number of the pair
    private readonly KeyTable _sources;
    // pair -> its first rule
    private readonly List<int> _first;
    // (pair, target token) -> first rule
    private readonly KeyTable _targets;
    private int _nextCall = AnyCall + 1;

    public RuleIndex(ReadOnlySpan<Rule> rules, bool fold)
    {
        _sources = new KeyTable(rules.Length);
        _first = new List<int>(rules.Length);
        _targets = new KeyTable(rules.Length);
        for (var order = 0; order < rules.Length; order++)
            Add(rules[order], order, fold);
    }

    public TokenIds Ids { get; } = new();

    /// <summary>The number of the first rule that matches, or -1.</summary>
    public int FirstMatch(PolicyRequest request, in TokenSet sources, in TokenSet targets)
    {
        var best = int.MaxValue;
        if (_calls.TryGetValue(request.Service, out var arguments))
        {
            Search(arguments, "*", sources, targets, ref best);
            Search(arguments, request.Argument.Length == 0 ? NoArgument : request.Argument, sources, targets, ref best);
            if (request.ValueArgument is { } value)
                Search(arguments, value, sources, targets, ref best);
        }
        Search(AnyCall, sources, targets, ref best);
        return best == int.MaxValue ? -1 : best;
    }

    /// <summary>Whether a rule is about the request's service and argument.</summary>
    public static bool Concerns(Rule rule, PolicyRequest request, bool fold)
    {
        if (rule.Service is not null && !SameService(rule.Service, request.Service, fold))
            return false;
        return rule.Argument is null || rule.Argument == (request.Argument.Length == 0 ? NoArgument : request.Argument) || rule.Argument == request.ValueArgument;
    }

    public static bool SameService(string a, string b, bool fold) => a == b || (fold && OtherName(a) == b);

    private void Search(Dictionary<string, int> arguments, string argument, in TokenSet sources, in TokenSet targets, ref int best)
    {
        if (arguments.TryGetValue(argument, out var call))
            Search(call, sources, targets, ref best);
    }

    private void Search(int call, in TokenSet sources, in TokenSet targets, ref int best)
    {
        foreach (var source in sources.Ids)
        {
            if (!_sources.TryGet(Key(call, source), out var pair) || _first[pair] >= best)
                continue;
            foreach (var target in targets.Ids)
            {
                if (_targets.TryGet(Key(pair, target), out var order) && order < best)
                    best = order;
            }
        }
    }

    private void Add(Rule rule, int order, bool fold)
    {
        var call = rule.Service is null ? AnyCall : CallNumber(rule.Service, rule.Argument ?? "*", fold);
        var pair = _sources.TryAdd(Key(call, Ids.Add(rule.Source)), _first.Count);
        if (pair == _first.Count)
            _first.Add(order);
        _targets.TryAdd(Key(pair, Ids.Add(rule.Target)), order);
    }

    private int CallNumber(string service, string argument, bool fold)
    {
        if (!_calls.TryGetValue(service, out var arguments))
        {
            _calls[service] = arguments = new Dictionary<string, int>(StringComparer.Ordinal);
            // Both names lead to the same rules, so that asking needs no folding.
            if (fold && OtherName(service) is { } other)
                _calls[other] = arguments;
        }
        if (!arguments.TryGetValue(argument, out var call))
            arguments[argument] = call = _nextCall++;
        return call;
    }

    private static string? OtherName(string service)
    {
        if (service.StartsWith(AdminPrefix, StringComparison.Ordinal))
            return string.Concat(MgmtPrefix, service.AsSpan(AdminPrefix.Length));
        return service.StartsWith(MgmtPrefix, StringComparison.Ordinal) ? string.Concat(AdminPrefix, service.AsSpan(MgmtPrefix.Length)) : null;
    }

    private static ulong Key(int high, int low) => ((ulong)(uint)high << 32) | (uint)low;
}
