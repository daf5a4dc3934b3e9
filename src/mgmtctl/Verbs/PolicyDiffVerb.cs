using System.CommandLine;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy diff</summary>
internal static class PolicyDiffVerb
{
    private static readonly Argument<string> Before = new("DIR1") { Description = "A policy directory" };
    private static readonly Argument<string> After = new("DIR2") { Description = "Another one" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("diff", "Tell whose calls two policy directories decide differently", ["mgmtctl policy diff /etc/mgmt/policy.d ./policy.d"],
            [Before, After, PolicyInputs.SystemInfo], async (run, token) =>
        {
            if (Load(run, run.Get(Before)!) is not { } before || Load(run, run.Get(After)!) is not { } after)
            {
                return ExitCode.Refused;
            }
            var changes = PolicyDiff.Between(before, after, await PolicyInputs.DomainsAsync(run, token));
            run.Output.Table(["service", "argument", "source", "target", "before", "after", "rule_before", "rule_after"], [.. changes.Select(Row)]);
            return ExitCode.Done;
        });

    private static PolicySet? Load(Run run, string directory)
    {
        var load = PolicySet.Load(PolicySource.FromDirectories(new PolicyDirectory(directory)), PolicyInputs.Options);
        foreach (var error in load.Errors)
        {
            run.Tell($"{directory}: {error}");
        }
        return load.Set;
    }

    private static object?[] Row(DecisionChange change) =>
    [
        change.Request.Service, change.Request.Argument, change.Request.Source, change.Request.Target,
        Text(change.Before), Text(change.After), change.Before.Rule, change.After.Rule,
    ];

    private static string Text(PolicyOutcome outcome) => outcome.GoesTo is { } target ? $"{outcome.Decision} {target}" : outcome.Decision;
}
