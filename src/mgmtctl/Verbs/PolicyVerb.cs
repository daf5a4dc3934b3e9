using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>policy: the tools that read rules, a daemon's or those of a directory, and the verbs that edit the daemon's.</summary>
internal static class PolicyVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Group("policy", "Check and edit the rules, and ask who may do what and which line says so",
            ["mgmtctl policy lint", "mgmtctl policy explain mgmt.vm.Start monitor work", "mgmtctl policy edit 30-user", "mgmtctl policy history 30-user"],
            [
                PolicyLintVerb.Create(cli), PolicyEvalVerb.Create(cli), PolicyExplainVerb.Create(cli), PolicyDiffVerb.Create(cli), PolicyGraphVerb.Create(cli),
                PolicyConvertVerb.Create(cli),
                .. PolicyEditVerbs.All(cli),
                PolicyAgentVerb.Create(cli),
            ]);
}
