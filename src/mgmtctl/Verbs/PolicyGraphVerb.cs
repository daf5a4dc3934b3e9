using System.CommandLine;
using System.Text;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy graph</summary>
internal static class PolicyGraphVerb
{
    private static readonly Option<string?> Service = new("--service") { Description = "Draw this service only", HelpName = "SERVICE" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("graph", "Draw who may call whom, for Graphviz", ["mgmtctl policy graph --service mgmt.vm.Start | dot -Tsvg > policy.svg"],
            [Service, PolicyInputs.Directories, PolicyInputs.SystemInfo], async (run, token) =>
        {
            if (PolicyInputs.Load(run) is not { } load)
            {
                return ExitCode.Refused;
            }
            var graph = PolicyGraph.Write(load.Set!, await PolicyInputs.DomainsAsync(run, token), run.Get(Service));
            await run.Output.BytesAsync(Encoding.UTF8.GetBytes(graph), token);
            return ExitCode.Done;
        });
}
