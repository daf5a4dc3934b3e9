using System.Text;

namespace Mgmt.Policy;

/// <summary>Who may call whom, as a graph in the DOT language.</summary>
public static class PolicyGraph
{
    private const int MostCalls = 8;

    /// <summary>
    /// Writes a digraph: an edge from each VM to each VM that it may call (red) or that is asked about (orange), labelled with the calls. A call that is
    /// redirected ends where it goes.
    /// </summary>
    /// <param name="set">The set.</param>
    /// <param name="domains">The VMs.</param>
    /// <param name="options">What is drawn.</param>
    public static string Write(PolicySet set, IDomainDirectory domains, PolicyGraphOptions options)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(domains);
        ArgumentNullException.ThrowIfNull(options);
        var services = options.Services.Select(service => RuleCover.Fold(service)!).ToHashSet(StringComparer.Ordinal);
        var edges = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        foreach (var (name, argument) in PolicyQuestions.Calls(set.Rules).Where(call => services.Count == 0 || services.Contains(call.Service)))
        {
            foreach (var source in PolicyQuestions.Names(domains).Where(source => IsDrawn(source, options)))
            {
                foreach (var target in PolicyQuestions.Targets(name, domains).Where(target => options.Targets.Count == 0 || options.Targets.Contains(target)))
                    Add(edges, PolicyOutcome.Of(set, new PolicyRequest(name, argument, source, target), domains), source, target, argument == "+" ? name : name + argument, options);
            }
        }
        return Write(edges, options.Labels);
    }

    private static bool IsDrawn(string source, PolicyGraphOptions options) =>
        options.Sources.Count == 0 ? !Spelling.IsDom0(source) : options.Sources.Contains(source);

    private static void Add(SortedDictionary<string, SortedSet<string>> edges, PolicyOutcome outcome, string source, string target, string call, PolicyGraphOptions options)
    {
        if (outcome.Decision == "deny" || (outcome.Decision == "ask" && !options.IncludeAsk))
            return;
        var key = $"{Quote(source)} -> {Quote(outcome.GoesTo ?? target)} [color={(outcome.Decision == "ask" ? "orange" : "red")}";
        if (!edges.TryGetValue(key, out var calls))
            edges[key] = calls = new SortedSet<string>(StringComparer.Ordinal);
        calls.Add(call);
    }

    private static string Write(SortedDictionary<string, SortedSet<string>> edges, bool labels)
    {
        var text = new StringBuilder("digraph policy {\n");
        foreach (var (edge, calls) in edges)
        {
            var label = string.Join("\\n", calls.Take(MostCalls).Select(call => call.Replace("\"", "\\\"", StringComparison.Ordinal)));
            var more = calls.Count > MostCalls ? $"\\n… {calls.Count - MostCalls} more" : "";
            text.Append("  ").Append(edge).Append(labels ? $", label=\"{label}{more}\"" : "").Append("];\n");
        }
        return text.Append("}\n").ToString();
    }

    private static string Quote(string name) => "\"" + name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";
}
