using System.CommandLine;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy diff</summary>
internal static class PolicyDiffVerb
{
    private static readonly Argument<string[]> Sides = new("DIR") { Description = "The policy directory that the rules would change to; with two, from the first to the second", Arity = new ArgumentArity(1, 2) };

    public static Command Create(CommandLine cli) =>
        cli.Verb("diff", "Tell whose calls another policy directory decides differently from the rules in force, or from a first one",
            ["mgmtctl policy diff ./policy.d", "mgmtctl policy diff /etc/mgmt/policy.d ./policy.d --system-info vms.json", "mgmtctl policy diff ./policy.d --policy-dir /run/mgmt/policy.d --policy-dir /etc/mgmt/policy.d"],
            [Sides, PolicyInputs.Directories, PolicyInputs.SystemInfo], async (run, token) =>
        {
            var sides = run.Get(Sides)!;
            if (sides.Length == 2 && run.Get(PolicyInputs.Directories) is { Length: > 0 })
            {
                throw new UsageException("--policy-dir and two directories say twice where to begin");
            }
            var first = sides.Length == 2 ? PolicyRules.Of(sides[0]) : await PolicyInputs.RulesAsync(run, token);
            if (first.Load(run, sides.Length == 2 ? sides[0] + ": " : "") is not { } before || PolicyRules.Of(sides[^1]).Load(run, sides[^1] + ": ") is not { } after)
            {
                return ExitCode.Refused;
            }
            Show(run, PolicyDiff.Between(before, after, await PolicyInputs.DomainsAsync(run, token)));
            return ExitCode.Done;
        });

    /// <summary>A line for each question that is answered differently.</summary>
    public static void Show(Run run, IEnumerable<DecisionChange> changes) =>
        run.Output.Table(["service", "argument", "source", "target", "before", "after", "rule_before", "rule_after"], [.. changes.Select(Row)]);

    private static object?[] Row(DecisionChange change) =>
    [
        change.Request.Service, change.Request.Argument, change.Request.Source, change.Request.Target,
        Text(change.Before), Text(change.After), change.Before.Rule, change.After.Rule,
    ];

    private static string Text(PolicyOutcome outcome) => outcome.GoesTo is { } target ? $"{outcome.Decision} {target}" : outcome.Choices is { } choices ? $"{outcome.Decision} {choices}" : outcome.Decision;
}
