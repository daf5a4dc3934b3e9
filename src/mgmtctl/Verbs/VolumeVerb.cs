using System.CommandLine;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>volume: ls and info; the verbs that change something are in the files beside.</summary>
internal static class VolumeVerb
{
    /// <summary>What is a number of bytes in an answer.</summary>
    private static readonly string[] s_sizes = ["size", "usage"];

    public static Command Create(CommandLine cli)
    {
        string[] examples =
        [
            "mgmtctl volume ls work", "mgmtctl volume snapshot work:private --name before-upgrade --pin", "mgmtctl volume revert work:private 3",
            "mgmtctl volume resize work:private 10GiB", "mgmtctl volume import work:private disk.raw",
        ];
        return cli.Group("volume", "Volumes of VMs and their snapshots", examples,
            List(cli), Info(cli),
            VolumeSnapshotVerbs.List(cli), VolumeSnapshotVerbs.Take(cli), VolumeSnapshotVerbs.Info(cli), VolumeSnapshotVerbs.Revert(cli), VolumeSnapshotVerbs.Remove(cli),
            VolumeContentVerbs.Resize(cli), VolumeImportVerb.Create(cli), VolumeContentVerbs.Clear(cli), VolumeContentVerbs.Clone(cli), VolumeContentVerbs.Set(cli));
    }

    private static Command List(CommandLine cli)
    {
        var vm = Symbols.Vm();
        return cli.Verb("ls", "List the volumes of a VM", ["mgmtctl volume ls work"], [vm], async (run, token) =>
        {
            var name = run.Get(vm)!;
            var volumes = await run.Daemon.LinesAsync("mgmt.vm.volume.List", "", name, token);
            return await Symbols.InfoTableAsync(run, ["volume", "pool", "vid", "size", "usage", "rw", "save_on_stop", "snap_on_start"], s_sizes, volumes,
                volume => run.Daemon.TextAsync("mgmt.vm.volume.Info", volume, name, token));
        });
    }

    private static Command Info(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        return cli.Verb("info", "Show everything about a volume", ["mgmtctl volume info work:private"], [which], async (run, token) =>
        {
            var volume = VolumeAddress.Parse(run.Get(which)!);
            run.Output.Facts(KeyValues.OfLines(await run.Daemon.TextAsync("mgmt.vm.volume.Info", volume.Volume, volume.Vm, token)), s_sizes);
            return ExitCode.Done;
        });
    }
}
