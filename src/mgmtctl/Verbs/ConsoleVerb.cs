using System.CommandLine;
using Mgmt.Cli.Terminals;

namespace Mgmt.Cli.Verbs;

/// <summary>console: the serial console of a VM on this terminal. SOURCE: docs/guest-agent.md, "Console".</summary>
internal static class ConsoleVerb
{
    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        return cli.Verb("console", "The serial console of a VM; Ctrl-] leaves it", ["mgmtctl console work", "echo reboot | mgmtctl console work"], [vm], async (run, token) =>
        {
            await using var console = await run.Daemon.ConsoleAsync(run.Get(vm)!, token);
            var byKeys = run.Terminal.InputIsTerminal;
            if (byKeys)
            {
                run.Tell("Ctrl-] leaves the console");
            }
            await using var input = byKeys ? null : run.Terminal.OpenInput();
            await new PlainBridge(run, console).RunAsync(byKeys, input, token);
            return ExitCode.Done;
        });
    }
}
