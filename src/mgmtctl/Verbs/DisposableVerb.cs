using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>disposable</summary>
internal static class DisposableVerb
{
    public static Command Create(CommandLine cli)
    {
        var from = Symbols.OptionalVm();
        from.Description = "The VM it is made from; the host's default_dispvm when not given";
        var start = new Option<bool>("--start") { Description = "Start it too" };
        string[] examples = ["mgmtctl disposable", "mgmtctl disposable fedora-dvm --start", "VM=$(mgmtctl disposable --start) && mgmtctl wait $VM --agent ready"];
        return cli.Verb("disposable", "Make a VM for one use and say its name; it is removed when its run is over", examples, [from, start], async (run, token) =>
        {
            var name = await run.Daemon.TextAsync("mgmt.vm.CreateDisposable", "", run.Get(from) ?? Daemon.Host, token);
            run.Output.Value("name", name);
            if (run.Get(start))
            {
                await run.Daemon.CallAsync("mgmt.vm.Start", "", name, "", token);
            }
            return ExitCode.Done;
        });
    }
}
