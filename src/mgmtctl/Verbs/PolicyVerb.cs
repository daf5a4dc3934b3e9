using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>policy lint, eval, explain, diff, graph: tools that read rule files and ask no daemon to decide.</summary>
internal static class PolicyVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Group("policy", "Check rule files, and ask who may do what and which line says so",
            ["mgmtctl policy lint", "mgmtctl policy explain mgmt.vm.Start monitor work", "mgmtctl policy eval mgmt.vm.Start monitor work"],
            PolicyLintVerb.Create(cli), PolicyEvalVerb.Create(cli), PolicyExplainVerb.Create(cli), PolicyDiffVerb.Create(cli), PolicyGraphVerb.Create(cli));
}
