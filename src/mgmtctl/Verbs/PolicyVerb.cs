using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>policy: the verbs about rules.</summary>
internal static class PolicyVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Group("policy", "Read and edit the rules that decide who may do what", ["mgmtctl policy list", "mgmtctl policy edit 30-user", "mgmtctl policy history 30-user"],
            [.. PolicyEditVerbs.All(cli)]);
}
