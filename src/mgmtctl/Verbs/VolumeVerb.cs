using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>volume ls, info</summary>
internal static class VolumeVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Group("volume", "Volumes of VMs", ["mgmtctl volume ls work", "mgmtctl volume info work:private"], List(cli), Info(cli));

    private static Command List(CommandLine cli)
    {
        var vm = Symbols.Vm();
        return cli.Verb("ls", "List the volumes of a VM", ["mgmtctl volume ls work"], [vm], async (run, token) =>
        {
            var name = run.Get(vm)!;
            var volumes = await run.Daemon.LinesAsync("mgmt.vm.volume.List", "", name, token);
            return await Symbols.InfoTableAsync(run, ["volume", "pool", "vid", "size", "usage", "rw", "save_on_stop", "snap_on_start"], volumes,
                volume => run.Daemon.TextAsync("mgmt.vm.volume.Info", volume, name, token));
        });
    }

    private static Command Info(CommandLine cli)
    {
        var which = new Argument<string>("VM:VOLUME") { Description = "The volume, such as work:private" };
        return cli.Verb("info", "Show everything about a volume", ["mgmtctl volume info work:private"], [which], async (run, token) =>
        {
            if (run.Get(which)!.Split(':') is not [{ Length: > 0 } vm, { Length: > 0 } volume])
            {
                throw new UsageException("a volume is named VM:VOLUME");
            }
            run.Output.Facts(KeyValues.OfLines(await run.Daemon.TextAsync("mgmt.vm.volume.Info", volume, vm, token)));
            return ExitCode.Done;
        });
    }
}
