using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>machine ls, info, start, shutdown, kill; the verbs with a terminal and cp are in the files beside.</summary>
internal static class MachineVerb
{
    /// <summary>Completion knows machines by the name of the argument.</summary>
    public const string MachineName = "MACHINE";

    public static Command Create(CommandLine cli)
    {
        string[] examples = ["mgmtctl machine ls", "mgmtctl machine start web", "mgmtctl machine run web /bin/ls -- -l /srv", "mgmtctl machine cp web:/etc/hosts ."];
        return cli.Group("machine", "Containers and other machines of systemd-machined that are no VMs", examples, List(cli), Info(cli), Start(cli),
            Change(cli, "shutdown", "Ask containers to power off", "mgmt.machine.Shutdown"), Change(cli, "kill", "End machines by force", "mgmt.machine.Kill"),
            MachineTerminalVerbs.Console(cli), MachineTerminalVerbs.Run(cli), MachineCopyVerb.Create(cli));
    }

    public static Argument<string> Argument() => new(MachineName) { Description = "The machine" };

    private static Command List(CommandLine cli) => cli.Verb("ls", "List the machines", ["mgmtctl machine ls", "mgmtctl machine ls --json"], [], async (run, token) =>
    {
        var lines = await run.Daemon.LinesAsync("mgmt.machine.List", "", Daemon.Host, token);
        run.Output.Table(["name", "class", "service"], [.. lines.Select(line => KeyValues.OfWords(line)).Select(words => new object?[] { words[0].Key, words.Find("class"), words.Find("service") })]);
        return ExitCode.Done;
    });

    private static Command Info(CommandLine cli)
    {
        var machine = Argument();
        return cli.Verb("info", "Show everything about a machine", ["mgmtctl machine info web"], [machine], async (run, token) =>
        {
            run.Output.Facts(KeyValues.OfLines(await run.Daemon.TextAsync("mgmt.machine.Info", run.Get(machine)!, Daemon.Host, token)));
            return ExitCode.Done;
        });
    }

    private static Command Start(CommandLine cli)
    {
        var images = new Argument<string[]>("IMAGE") { Description = "Images of systemd-machined, see 'mgmtctl pool image ls'", Arity = ArgumentArity.OneOrMore };
        return cli.Verb("start", "Start the containers of images (systemd-nspawn@.service)", ["mgmtctl machine start web"], [images], (run, token) =>
            run.EachAsync(run.Get(images)!, together: false, image => run.Daemon.CallAsync("mgmt.machine.Start", image, Daemon.Host, "", token)));
    }

    private static Command Change(CommandLine cli, string name, string summary, string call)
    {
        var machines = new Argument<string[]>(MachineName) { Description = "The machines", Arity = ArgumentArity.OneOrMore };
        return cli.Verb(name, summary, [$"mgmtctl machine {name} web"], [machines], (run, token) =>
            run.EachAsync(run.Get(machines)!, together: false, machine => run.Daemon.CallAsync(call, machine, Daemon.Host, "", token)));
    }
}
