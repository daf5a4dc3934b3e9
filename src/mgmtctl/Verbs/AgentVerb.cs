using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>agent</summary>
internal static class AgentVerb
{
    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var what = new Argument<string>("WHAT") { Description = "info: the agent and its commands; osinfo: the guest's system" };
        what.AcceptOnlyFromAmong("info", "osinfo");
        string[] examples = ["mgmtctl agent work info", "mgmtctl agent work osinfo --json"];
        return cli.Verb("agent", "Ask the guest agent of a VM", examples, [vm, what], async (run, token) =>
        {
            var method = run.Get(what) == "info" ? "mgmt.vm.agent.Info" : "mgmt.vm.agent.OsInfo";
            using var answer = JsonFacts.Parse(await run.Daemon.CallAsync(method, "", run.Get(vm)!, "", token));
            if (run.Output.Json)
            {
                run.Output.Element(answer.RootElement);
            }
            else
            {
                run.Output.Facts([.. JsonFacts.Flatten(answer.RootElement)]);
            }
            return ExitCode.Done;
        });
    }
}
