using System.CommandLine;
using System.Text;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>volume snapshots, snapshot, snapshot-info, revert, rm-snapshot</summary>
internal static class VolumeSnapshotVerbs
{
    /// <summary>Completion knows revisions by the name of the argument.</summary>
    public const string IdName = "ID";

    private static readonly string[] s_sizes = ["size"];

    public static Command List(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        return cli.Verb("snapshots", "List the snapshots of a volume, oldest first", ["mgmtctl volume snapshots work:private"], [which], async (run, token) =>
        {
            var volume = VolumeAddress.Parse(run.Get(which)!);
            var ids = await run.Daemon.LinesAsync("mgmt.vm.volume.ListSnapshots", volume.Volume, volume.Vm, token);
            return await Symbols.InfoTableAsync(run, ["id", "time", "name", "pinned", "cause", "quiesced", "size"], s_sizes, ids,
                id => InfoAsync(run, volume, id, token));
        });
    }

    public static Command Take(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var name = new Option<string?>("--name") { Description = "A name for people", HelpName = "NAME" };
        var pin = new Option<bool>("--pin") { Description = "Keep it until it is removed by force, however many others there are" };
        var quiesce = new Option<string?>("--quiesce") { Description = "Have the guest's file systems at rest; try (the daemon's default) goes on without", HelpName = "yes|no|try" };
        quiesce.AcceptOnlyFromAmong("yes", "no", "try");
        var progress = Symbols.Progress();
        string[] examples = ["mgmtctl volume snapshot work:private", "mgmtctl volume snapshot work:root --name before-upgrade --pin --quiesce yes"];
        return cli.Verb("snapshot", "Keep what a volume holds now, also of a running VM, and write the snapshot's id", examples, [which, name, pin, quiesce, progress], async (run, token) =>
        {
            var volume = VolumeAddress.Parse(run.Get(which)!);
            var payload = Line("name", run.Get(name)) + Line("pin", run.Get(pin) ? "yes" : null) + Line("quiesce", run.Get(quiesce));
            var call = new FollowedCall { Title = $"{volume}", Operation = "snapshot", Vms = [volume.Vm], PlainLines = run.Get(progress) };
            var id = await call.RunAsync(run, () => volume.CallAsync(run, "Snapshot", payload, token), token);
            run.Output.Value("id", Encoding.UTF8.GetString(id.Span));
            return ExitCode.Done;
        });
    }

    public static Command Info(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var id = Id();
        return cli.Verb("snapshot-info", "Show everything about a snapshot", ["mgmtctl volume snapshot-info work:private 3"], [which, id], async (run, token) =>
        {
            run.Output.Facts(KeyValues.OfLines(await InfoAsync(run, VolumeAddress.Parse(run.Get(which)!), run.Get(id)!, token)), s_sizes);
            return ExitCode.Done;
        });
    }

    public static Command Revert(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var id = Id();
        return cli.Verb("revert", "Give the volume of a halted VM what a snapshot holds; what it held before is kept as a snapshot", ["mgmtctl volume revert work:private 3"], [which, id], async (run, token) =>
        {
            await VolumeAddress.Parse(run.Get(which)!).CallAsync(run, "Revert", run.Get(id)!, token);
            return ExitCode.Done;
        });
    }

    public static Command Remove(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var ids = new Argument<string[]>(IdName) { Description = "The snapshots", Arity = ArgumentArity.OneOrMore };
        var force = new Option<bool>("--force") { Description = "Pinned ones too" };
        string[] examples = ["mgmtctl volume rm-snapshot work:private 3", "mgmtctl volume rm-snapshot --force work:private 3 4"];
        return cli.Verb("rm-snapshot", "Remove snapshots of a volume", examples, [which, ids, force], (run, token) =>
        {
            var volume = VolumeAddress.Parse(run.Get(which)!);
            return run.EachAsync(run.Get(ids)!, together: false, id => volume.CallAsync(run, "RemoveSnapshot", run.Get(force) ? id + " force" : id, token));
        });
    }

    private static async Task<string> InfoAsync(Run run, VolumeAddress volume, string id, CancellationToken cancellationToken) =>
        Encoding.UTF8.GetString((await volume.CallAsync(run, "SnapshotInfo", id, cancellationToken)).Span);

    private static Argument<string> Id() => new(IdName) { Description = "The snapshot's id, see 'mgmtctl volume snapshots'" };

    private static string Line(string key, string? value) => value switch
    {
        null => "",
        _ when value.Length == 0 || value.Any(char.IsControl) => throw new UsageException($"--{key} is empty or holds a control character"),
        _ => $"{key}={value}\n",
    };
}
