using System.Text;

namespace Mgmt.Policy;

/// <summary>Who may call whom, as a graph in the DOT language.</summary>
public static class PolicyGraph
{
    private const int MostCalls = 8;

    /// <summary>
    /// Writes a digraph: an edge from each VM to each VM that it may call (red) or that is asked about (orange), labelled with the calls. A call that is
    /// redirected ends where it goes. dom0 as the source is left out.
    /// </summary>
    /// <param name="set">The set.</param>
    /// <param name="domains">The VMs.</param>
    /// <param name="service">The only service to draw; null for all.</param>
    public static string Write(PolicySet set, IDomainDirectory domains, string? service)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(domains);
        var wanted = RuleCover.Fold(service);
        var edges = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        foreach (var (name, argument) in PolicyQuestions.Calls(set.Rules).Where(call => wanted is null || call.Service == wanted))
        {
            foreach (var source in PolicyQuestions.Names(domains).Where(source => !Spelling.IsDom0(source)))
            {
                foreach (var target in PolicyQuestions.Targets(name, domains))
                    Add(edges, PolicyOutcome.Of(set, new PolicyRequest(name, argument, source, target), domains), source, target, argument == "+" ? name : name + argument);
            }
        }
        return Write(edges);
    }

    private static void Add(SortedDictionary<string, SortedSet<string>> edges, PolicyOutcome outcome, string source, string target, string call)
    {
        if (outcome.Decision == "deny")
            return;
        var key = $"{Quote(source)} -> {Quote(outcome.GoesTo ?? target)} [color={(outcome.Decision == "ask" ? "orange" : "red")}";
        if (!edges.TryGetValue(key, out var calls))
            edges[key] = calls = new SortedSet<string>(StringComparer.Ordinal);
        calls.Add(call);
    }

    private static string Write(SortedDictionary<string, SortedSet<string>> edges)
    {
        var text = new StringBuilder("digraph policy {\n");
        foreach (var (edge, calls) in edges)
        {
            var label = string.Join("\\n", calls.Take(MostCalls).Select(call => call.Replace("\"", "\\\"", StringComparison.Ordinal)));
            var more = calls.Count > MostCalls ? $"\\n… {calls.Count - MostCalls} more" : "";
            text.Append("  ").Append(edge).Append(", label=\"").Append(label).Append(more).Append("\"];\n");
        }
        return text.Append("}\n").ToString();
    }

    private static string Quote(string name) => "\"" + name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";
}
