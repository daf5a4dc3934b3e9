using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>device: assigned, assign, unassign, mode and denied.</summary>
internal static class DeviceAssignmentVerbs
{
    public static Command List(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var only = DeviceVerb.OnlyClass();
        return cli.Verb("assigned", "List the devices that a VM is to have", ["mgmtctl device assigned work"], [vm, only], async (run, token) =>
        {
            var rows = new List<object?[]>();
            foreach (var kind in await DeviceVerb.ClassesAsync(run, run.Get(only), token))
            {
                foreach (var line in await run.Daemon.LinesAsync($"mgmt.vm.device.{kind}.Assigned", "", run.Get(vm)!, token))
                {
                    var words = line.Split(' ').Skip(1).Select(word => word.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair.ElementAtOrDefault(1)?.Trim('\'') ?? "", StringComparer.Ordinal);
                    var options = words.Where(word => word.Key.StartsWith('_')).Select(word => $"{word.Key[1..]}={word.Value}");
                    rows.Add([kind, line.Split(':', 2)[0].Replace('+', ':'), words.GetValueOrDefault("mode", ""), words.GetValueOrDefault("device_id", ""), string.Join(' ', options)]);
                }
            }
            run.Output.Table(["class", "device", "mode", "device_id", "options"], rows);
            return ExitCode.Done;
        });
    }

    public static Command Assign(CommandLine cli)
    {
        var (vm, kind, device) = (Symbols.Vm(), DeviceVerb.Class(), DeviceVerb.Device());
        var required = new Option<bool>("--required") { Description = "The VM does not start without it" };
        var ask = new Option<bool>("--ask") { Description = "Not attached by itself" };
        var options = DeviceVerb.OptionWords();
        string[] examples = ["mgmtctl device assign work block dom0:sdb", "mgmtctl device assign work block dom0:sdb --required --option read-only=yes"];
        return cli.Verb("assign", "Say that a VM is to have a device, from its next start or when the device appears", examples, [vm, kind, device, required, ask, options], async (run, token) =>
        {
            var mode = (run.Get(required), run.Get(ask)) switch
            {
                (true, true) => throw new UsageException("--required and --ask exclude each other"),
                (true, _) => "required",
                (_, true) => "ask-to-attach",
                _ => "auto-attach",
            };
            var payload = string.Join(' ', (run.Get(options) ?? []).Select(Symbols.Word).Prepend("mode=" + mode));
            await run.Daemon.CallAsync($"mgmt.vm.device.{Symbols.Word(run.Get(kind)!)}.Assign", DeviceVerb.Address(run.Get(device)!), run.Get(vm)!, payload, token);
            return ExitCode.Done;
        });
    }

    public static Command Unassign(CommandLine cli)
    {
        var (vm, kind, device) = (Symbols.Vm(), DeviceVerb.Class(), DeviceVerb.Device());
        return cli.Verb("unassign", "Take that back; what is attached stays", ["mgmtctl device unassign work block dom0:sdb"], [vm, kind, device], async (run, token) =>
        {
            await run.Daemon.CallAsync($"mgmt.vm.device.{Symbols.Word(run.Get(kind)!)}.Unassign", DeviceVerb.Address(run.Get(device)!), run.Get(vm)!, "", token);
            return ExitCode.Done;
        });
    }

    public static Command Mode(CommandLine cli)
    {
        var (vm, kind, device) = (Symbols.Vm(), DeviceVerb.Class(), DeviceVerb.Device());
        var mode = new Argument<string>("MODE") { Description = "required, auto-attach or ask-to-attach" };
        mode.AcceptOnlyFromAmong("required", "auto-attach", "ask-to-attach");
        return cli.Verb("mode", "Change what an assignment does", ["mgmtctl device mode work block dom0:sdb required"], [vm, kind, device, mode], async (run, token) =>
        {
            await run.Daemon.CallAsync($"mgmt.vm.device.{Symbols.Word(run.Get(kind)!)}.Set.assignment", DeviceVerb.Address(run.Get(device)!), run.Get(vm)!, run.Get(mode)!, token);
            return ExitCode.Done;
        });
    }

    public static Command Denied(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var words = Symbols.Words("ACTION CODES", "add CODE, del CODE, del all, or list (default); a code is such as u03**** (USB keyboards and mice)", 2);
        string[] examples = ["mgmtctl device denied work", "mgmtctl device denied work add u03****"];
        return cli.Verb("denied", "Show or change which interfaces no device attached to a VM may have", examples, [vm, words], async (run, token) =>
        {
            switch (run.Get(words)!)
            {
                case [] or ["list"]:
                    var codes = await run.Daemon.LinesAsync("mgmt.vm.device.denied.List", "", run.Get(vm)!, token);
                    run.Output.Table(["interface"], [.. codes.Select(code => new object?[] { code })]);
                    break;
                case ["add", var code]:
                    await run.Daemon.CallAsync("mgmt.vm.device.denied.Add", "", run.Get(vm)!, code, token);
                    break;
                case ["del", var code]:
                    await run.Daemon.CallAsync("mgmt.vm.device.denied.Remove", "", run.Get(vm)!, code, token);
                    break;
                default:
                    throw new UsageException("denied takes add CODE, del CODE or list after the VM");
            }
            return ExitCode.Done;
        });
    }
}
