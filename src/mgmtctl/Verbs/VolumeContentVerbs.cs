using System.CommandLine;
using System.Globalization;
using System.Text;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>volume resize, clear, clone, set</summary>
internal static class VolumeContentVerbs
{
    public static Command Resize(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var size = Symbols.Size();
        var force = new Option<bool>("--force") { Description = "Also make it smaller, of a halted VM; what is beyond the new end is lost" };
        string[] examples = ["mgmtctl volume resize work:private 10GiB", "mgmtctl volume resize --force work:private 512MiB"];
        return cli.Verb("resize", "Make a volume larger, also of a running VM, or smaller", examples, [which, size, force], async (run, token) =>
        {
            var bytes = ByteSize.Parse(run.Get(size)!);
            await VolumeAddress.Parse(run.Get(which)!).CallAsync(run, "Resize", run.Get(force) ? $"{bytes} force" : $"{bytes}", token);
            return ExitCode.Done;
        });
    }

    public static Command Clear(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        return cli.Verb("clear", "Empty the volume of a halted VM", ["mgmtctl volume clear work:private"], [which], async (run, token) =>
        {
            await VolumeAddress.Parse(run.Get(which)!).CallAsync(run, "Clear", "", token);
            return ExitCode.Done;
        });
    }

    public static Command Clone(CommandLine cli)
    {
        var source = VolumeAddress.Argument(VolumeAddress.Source, "The volume to copy");
        var target = VolumeAddress.Argument(VolumeAddress.Target, "The volume, of a halted VM, that becomes its copy");
        var progress = Symbols.Progress();
        return cli.Verb("clone", "Copy what a volume holds into another one", ["mgmtctl volume clone work:private spare:private"], [source, target, progress], async (run, token) =>
        {
            var (from, to) = (VolumeAddress.Parse(run.Get(source)!), VolumeAddress.Parse(run.Get(target)!));
            var ticket = Encoding.UTF8.GetString((await from.CallAsync(run, "CloneFrom", "", token)).Span);
            var call = new FollowedCall { Title = $"{from} to {to}", Operation = "clone", Vms = [.. new[] { from.Vm, to.Vm }.Distinct()], PlainLines = run.Get(progress) };
            await call.RunAsync(run, () => to.CallAsync(run, "CloneTo", ticket, token), token);
            return ExitCode.Done;
        });
    }

    public static Command Set(CommandLine cli)
    {
        var which = VolumeAddress.Argument();
        var name = new Argument<string>("NAME") { Description = "revisions_to_keep, rw or ephemeral" };
        name.AcceptOnlyFromAmong("revisions_to_keep", "rw", "ephemeral");
        var value = new Argument<string>(Symbols.SettingValue) { Description = "A number (-1: the VM writes the volume itself and nothing is kept), or yes or no" };
        string[] examples = ["mgmtctl volume set work:private revisions_to_keep 3", "mgmtctl volume set work:root rw no", "mgmtctl volume set work:volatile ephemeral yes"];
        return cli.Verb("set", "Change a setting of a volume", examples, [which, name, value], async (run, token) =>
        {
            var volume = VolumeAddress.Parse(run.Get(which)!);
            await volume.CallAsync(run, "Set." + run.Get(name), Value(run.Get(name)!, run.Get(value)!), token);
            return ExitCode.Done;
        });
    }

    /// <summary>A setting's value as the daemon takes it. ERRORS: UsageException.</summary>
    public static string Value(string name, string value) => name == "revisions_to_keep"
        ? int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var count) && count >= -1
            ? count.ToString(CultureInfo.InvariantCulture)
            : throw new UsageException("revisions_to_keep is a number, -1 or more")
        : value.ToUpperInvariant() switch
        {
            "YES" or "TRUE" or "ON" or "1" => "True",
            "NO" or "FALSE" or "OFF" or "0" => "False",
            _ => throw new UsageException($"{name} is yes or no"),
        };
}
