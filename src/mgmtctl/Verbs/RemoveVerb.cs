using System.CommandLine;
using System.Text;
using Mgmt.Cli.Rendering;

namespace Mgmt.Cli.Verbs;

/// <summary>rm</summary>
internal static class RemoveVerb
{
    public static Command Create(CommandLine cli)
    {
        var vms = Symbols.Vms();
        var force = new Option<bool>("--force") { Description = "Do not ask; without a terminal to ask on, nothing is asked either" };
        return cli.Verb("rm", "Remove VMs and their volumes", ["mgmtctl rm work", "mgmtctl rm --force work mail"], [vms, force], async (run, token) =>
        {
            var names = run.Get(vms)!;
            if (!run.Get(force) && run.Terminal.InputIsTerminal && !await ConfirmAsync(run.Terminal, names, token))
            {
                run.Tell("nothing was removed");
                return ExitCode.Refused;
            }
            return await run.EachAsync(names, together: false, vm => run.Daemon.CallAsync("mgmt.vm.Remove", "", vm, "", token));
        });
    }

    private static async Task<bool> ConfirmAsync(Terminal terminal, string[] names, CancellationToken cancellationToken)
    {
        await terminal.Error.WriteAsync($"Remove {PlainText.OneLine(string.Join(", ", names))} and all data on their volumes? [y/N] ");
        await terminal.Error.FlushAsync(cancellationToken);
        using var reader = new StreamReader(terminal.OpenInput(), Encoding.UTF8);
        return await reader.ReadLineAsync(cancellationToken) is "y" or "Y" or "yes";
    }
}
