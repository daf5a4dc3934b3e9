namespace Mgmt.Policy;

/// <summary>Every question that rules tell apart: each service and argument they name, from each VM to each target.</summary>
internal static class PolicyQuestions
{
    /// <summary>The calls named in rules, management calls by their name with mgmt., ordered ordinally. The service `*` stands for all that no rule names.</summary>
    public static IEnumerable<(string Service, string Argument)> Calls(IEnumerable<Rule> rules)
    {
        var calls = new SortedSet<(string, string)>(Comparer<(string Service, string Argument)>.Create((a, b) =>
            string.CompareOrdinal(a.Service, b.Service) is var order and not 0 ? order : string.CompareOrdinal(a.Argument, b.Argument)));
        foreach (var rule in rules)
        {
            var service = rule.Service is { } name ? RuleCover.Fold(name)! : "*";
            calls.Add((service, "+"));
            if (rule.Argument is { } argument)
                calls.Add((service, argument));
        }
        return calls;
    }

    /// <summary>What a call can be asked about, ordered ordinally; management calls take no disposables and mean dom0 by `@default`.</summary>
    public static IEnumerable<string> Targets(string service, IDomainDirectory domains)
    {
        var names = Names(domains);
        return Spelling.IsManagement(service) ? names : names.Concat([Spelling.Default, Spelling.DispVm]);
    }

    public static IEnumerable<string> Names(IDomainDirectory domains) => domains.All.Select(domain => domain.Name).Order(StringComparer.Ordinal);
}
