using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>start, shutdown, kill, pause, unpause, suspend, resume</summary>
internal static class PowerVerbs
{
    public static Command Start(CommandLine cli) =>
        Simple(cli, "start", "mgmt.vm.Start", "Start VMs; one that runs already is left alone", ["mgmtctl start work", "mgmtctl start work && mgmtctl wait work --agent ready"]);

    public static Command Kill(CommandLine cli) =>
        Simple(cli, "kill", "mgmt.vm.Kill", "Stop VMs at once, as if the power failed", ["mgmtctl kill work"]);

    public static Command Pause(CommandLine cli) =>
        Simple(cli, "pause", "mgmt.vm.Pause", "Stop the processors of VMs", ["mgmtctl pause work"]);

    public static Command Unpause(CommandLine cli) =>
        Simple(cli, "unpause", "mgmt.vm.Unpause", "Let the processors of paused VMs run on", ["mgmtctl unpause work"]);

    public static Command Suspend(CommandLine cli) =>
        Simple(cli, "suspend", "mgmt.vm.Suspend", "Have VMs suspend themselves to memory; one whose agent cannot is paused", ["mgmtctl suspend work"]);

    public static Command Resume(CommandLine cli) =>
        Simple(cli, "resume", "mgmt.vm.Resume", "Wake suspended VMs, and let paused ones run on", ["mgmtctl resume work"]);

    public static Command Shutdown(CommandLine cli)
    {
        var vms = Symbols.Vms();
        var wait = new Option<bool>("--wait") { Description = "Return when the VMs are down, or fail when the shutdown times out" };
        var force = new Option<bool>("--force") { Description = "Also when other VMs need it" };
        string[] examples = ["mgmtctl shutdown work", "mgmtctl shutdown --wait work mail"];
        return cli.Verb("shutdown", "Ask VMs to shut down", examples, [vms, wait, force], (run, token) =>
        {
            var argument = string.Join('+', new[] { run.Get(force) ? "force" : "", run.Get(wait) ? "wait" : "" }.Where(word => word.Length > 0));
            // Waiting for one after the other would add up their times.
            return run.EachAsync(run.Get(vms)!, run.Get(wait), vm => run.Daemon.CallAsync("mgmt.vm.Shutdown", argument, vm, "", token));
        });
    }

    private static Command Simple(CommandLine cli, string name, string method, string summary, string[] examples)
    {
        var vms = Symbols.Vms();
        return cli.Verb(name, summary, examples, [vms], (run, token) =>
            run.EachAsync(run.Get(vms)!, together: false, vm => run.Daemon.CallAsync(method, "", vm, "", token)));
    }
}
