using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>firewall: show and reload. Rules cannot be changed before networking is built.</summary>
internal static class FirewallVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Group("firewall", "The firewall rules of VMs", ["mgmtctl firewall show work", "mgmtctl firewall reload work"], Show(cli), Reload(cli));

    private static Command Show(CommandLine cli)
    {
        var vm = Symbols.Vm();
        return cli.Verb("show", "Show the rules of a VM, the first that matches decides", ["mgmtctl firewall show work --json"], [vm], async (run, token) =>
        {
            var rules = await run.Daemon.LinesAsync("mgmt.vm.firewall.Get", "", run.Get(vm)!, token);
            run.Output.Table(["rule"], [.. rules.Select(rule => new object?[] { rule })]);
            return ExitCode.Done;
        });
    }

    private static Command Reload(CommandLine cli)
    {
        var vm = Symbols.Vm();
        return cli.Verb("reload", "Have whoever enforces the rules of a VM read them again", ["mgmtctl firewall reload work"], [vm], async (run, token) =>
        {
            await run.Daemon.CallAsync("mgmt.vm.firewall.Reload", "", run.Get(vm)!, "", token);
            return ExitCode.Done;
        });
    }
}
