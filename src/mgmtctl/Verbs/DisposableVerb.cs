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
        var preload = new Option<bool>("--preload") { Description = "Make ahead as many as its feature preload-dispvm-max says, and wait for them" };
        string[] examples = ["mgmtctl disposable", "mgmtctl disposable fedora-dvm --start", "VM=$(mgmtctl disposable --start) && mgmtctl wait $VM --agent ready", "mgmtctl disposable fedora-dvm --preload"];
        return cli.Verb("disposable", "Make a VM for one use and say its name; it is removed when its run is over", examples, [from, start, preload], async (run, token) =>
        {
            if (run.Get(preload))
            {
                if (run.Get(start))
                {
                    throw new UsageException("--preload makes disposables ahead, which nobody has yet; --start is for one that is made now");
                }
                await run.Daemon.CallAsync("mgmt.vm.CreateDisposable", "preload", run.Get(from) ?? Daemon.Host, "", token);
                return ExitCode.Done;
            }
            var name = await run.Daemon.TextAsync("mgmt.vm.CreateDisposable", "", run.Get(from) ?? Daemon.Host, token);
            run.Output.Value("name", name);
            if (run.Get(start))
            {
                // One that was made ahead runs already, and that changes nothing.
                await run.Daemon.CallAsync("mgmt.vm.Start", "", name, "", token);
            }
            return ExitCode.Done;
        });
    }
}
