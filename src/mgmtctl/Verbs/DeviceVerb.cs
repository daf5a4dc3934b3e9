using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>device: ls, available, attach and detach; the verbs of assignments are in the file beside.</summary>
internal static class DeviceVerb
{
    /// <summary>Completion knows classes and devices by the name of the argument.</summary>
    public const string ClassName = "CLASS";
    public const string DeviceName = "DEVICE";

    public static Command Create(CommandLine cli)
    {
        string[] examples =
        [
            "mgmtctl device available", "mgmtctl device ls work", "mgmtctl device attach work block dom0:sdb --ro", "mgmtctl device attach work block dom0:file-debian.iso --persistent",
            "mgmtctl device detach work block dom0:sdb", "mgmtctl device assign work usb dom0:1-2 --required", "mgmtctl device mic work on",
        ];
        return cli.Group("device", "Devices of VMs: disks, USB, PCI, the microphone", examples, Available(cli), List(cli), Attach(cli), Detach(cli),
            DeviceAssignmentVerbs.List(cli), DeviceAssignmentVerbs.Assign(cli), DeviceAssignmentVerbs.Unassign(cli), DeviceAssignmentVerbs.Mode(cli), DeviceAssignmentVerbs.Denied(cli), Microphone(cli));
    }

    public static Argument<string> Class() => new(ClassName) { Description = "block, mic, pci or usb" };

    public static Argument<string> Device() => new(DeviceName) { Description = "BACKEND:PORT, such as dom0:sdb; dom0 when there is no colon" };

    /// <summary>The argument of a device's calls.</summary>
    public static string Address(string device)
    {
        var parts = device.Split(':', 2);
        var (backend, port) = parts.Length == 2 ? (parts[0], parts[1]) : ("dom0", device);
        return backend.Length > 0 && port.Length > 0 ? $"{backend}+{port}" : throw new UsageException($"'{device}' is not BACKEND:PORT");
    }

    /// <summary>The class that was named, else all.</summary>
    public static async Task<string[]> ClassesAsync(Run run, string? named, CancellationToken cancellationToken) =>
        named is null ? await run.Daemon.LinesAsync("mgmt.deviceclass.List", "", Daemon.Host, cancellationToken) : [named];

    public static Option<string?> OnlyClass() => new("--class") { Description = "Only of this class", HelpName = ClassName };

    /// <summary><c>key=value</c> words, the last of which may hold spaces.</summary>
    public static Dictionary<string, string> Words(string text)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        const string Last = "description=";
        var last = text.IndexOf(Last, StringComparison.Ordinal);
        foreach (var word in (last < 0 ? text : text[..last]).Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            found[equals < 0 ? word : word[..equals]] = equals < 0 ? "" : word[(equals + 1)..];
        }
        if (last >= 0)
        {
            found["description"] = text[(last + Last.Length)..];
        }
        return found;
    }

    private static Command Available(CommandLine cli)
    {
        var vm = Symbols.OptionalVm();
        var only = OnlyClass();
        return cli.Verb("available", "List the devices that the host, or a VM, has to give", ["mgmtctl device available", "mgmtctl device available vault --class block"], [vm, only], async (run, token) =>
        {
            var backend = run.Get(vm) ?? Daemon.Host;
            var rows = new List<object?[]>();
            foreach (var kind in await ClassesAsync(run, run.Get(only), token))
            {
                foreach (var line in await run.Daemon.LinesAsync($"mgmt.vm.device.{kind}.Available", "", backend, token))
                {
                    var port = line.Split(' ', 2);
                    var facts = Words(port.ElementAtOrDefault(1) ?? "");
                    rows.Add([kind, $"{backend}:{port[0]}", facts.GetValueOrDefault("size") is { } size ? Formats.ByteSize.Cell(size) : null, facts.GetValueOrDefault("attachment", ""), facts.GetValueOrDefault("description", "")]);
                }
            }
            run.Output.Table(["class", "device", "size", "attached_to", "description"], rows);
            return ExitCode.Done;
        });
    }

    private static Command List(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var only = OnlyClass();
        return cli.Verb("ls", "List the devices that a VM has or is to have", ["mgmtctl device ls work", "mgmtctl device ls work --json"], [vm, only], async (run, token) =>
        {
            var name = run.Get(vm)!;
            var rows = new List<object?[]>();
            foreach (var kind in await ClassesAsync(run, run.Get(only), token))
            {
                var attached = (await run.Daemon.LinesAsync($"mgmt.vm.device.{kind}.Attached", "", name, token)).Select(line => line.Split(':', 2)[0]).ToHashSet(StringComparer.Ordinal);
                foreach (var line in await run.Daemon.LinesAsync($"mgmt.vm.device.{kind}.List", "", name, token))
                {
                    var words = line.Split(' ');
                    rows.Add([kind, words[0].Replace('+', ':'), attached.Contains(words[0]), words[1] == "persistent=yes", string.Join(' ', words[2..])]);
                }
            }
            run.Output.Table(["class", "device", "attached", "assigned", "options"], rows);
            return ExitCode.Done;
        });
    }

    private static Command Attach(CommandLine cli)
    {
        var (vm, kind, device) = (Symbols.Vm(), Class(), Device());
        var readOnly = new Option<bool>("--ro") { Description = "The VM may only read it" };
        var persistent = new Option<bool>("--persistent") { Description = "Also at every start from now on" };
        var options = OptionWords();
        string[] examples = ["mgmtctl device attach work block dom0:sdb --ro", "mgmtctl device attach work block vault:private", "mgmtctl device attach work block dom0:sdb --option frontend-dev=data"];
        return cli.Verb("attach", "Give a running VM a device", examples, [vm, kind, device, readOnly, persistent, options], async (run, token) =>
        {
            string[] words = [.. run.Get(readOnly) ? ["ro=True"] : Array.Empty<string>(), .. run.Get(persistent) ? ["persistent=yes"] : Array.Empty<string>(), .. (run.Get(options) ?? []).Select(Symbols.Word)];
            await run.Daemon.CallAsync($"mgmt.vm.device.{Symbols.Word(run.Get(kind)!)}.Attach", Address(run.Get(device)!), run.Get(vm)!, string.Join(' ', words), token);
            return ExitCode.Done;
        });
    }

    public static Option<string[]> OptionWords() => new("--option") { Description = "Such as frontend-dev=NAME or bus=usb; may be repeated", HelpName = "NAME=VALUE" };

    private static Command Detach(CommandLine cli)
    {
        var (vm, kind, device) = (Symbols.Vm(), Class(), Device());
        return cli.Verb("detach", "Take a device from a running VM; it is not assigned any more either", ["mgmtctl device detach work block dom0:sdb"], [vm, kind, device], async (run, token) =>
        {
            await run.Daemon.CallAsync($"mgmt.vm.device.{Symbols.Word(run.Get(kind)!)}.Detach", Address(run.Get(device)!), run.Get(vm)!, "", token);
            return ExitCode.Done;
        });
    }

    private static Command Microphone(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var state = new Argument<string>("STATE") { Description = "on or off" };
        state.AcceptOnlyFromAmong("on", "off");
        return cli.Verb("mic", "Let a running VM record from the host's microphone, or not", ["mgmtctl device mic work on"], [vm, state], async (run, token) =>
        {
            await run.Daemon.CallAsync(run.Get(state) == "on" ? "mgmt.vm.microphone.Attach" : "mgmt.vm.microphone.Detach", "", run.Get(vm)!, "", token);
            return ExitCode.Done;
        });
    }
}
