namespace Mgmt.Api;

/// <summary>Devices of running VMs, by class. SOURCE: docs/devices.md.</summary>
public sealed class DeviceCalls(DeviceOperations operations, DeviceAssignments assignments) : ICallGroup
{
    private const string Address = "`BACKEND+PORT`";

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("deviceclass.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("class"), PayloadRule.None, CallDialects.Both,
            "The classes of devices.", ListClasses) { Returns = "`<class>\\n`" },
        .. DeviceClass.All.SelectMany(Of),
    ];

    private IEnumerable<CallRow> Of(DeviceClass c) =>
    [
        new($"vm.device.{c}.Available", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Optional("port"), PayloadRule.None, CallDialects.Both,
            $"The {c} devices that a VM has to give; dom0: the host's.", (call, token) => new(Available(call, c)))
        {
            Returns = "`<port> <property>=<value> … description=<text>\\n`; admin: `<port>:<device id> <key>='<value>' …\\n`",
        },
        new($"vm.device.{c}.List", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.OneEntry(Address), PayloadRule.None, CallDialects.Mgmt,
            $"The {c} devices that a VM has or is to have. The policy is also asked for Assigned and Attached.", (call, token) => new(List(call, c)))
        {
            Returns = "`<backend>+<port> persistent=<yes or no> <option>=<value> …\\n`", AskedArgument = argument => DeviceArgument.Asked(c, argument),
            MoreQuestions = call => Questions(call, c, "Assigned", "Attached"),
        },
        new($"vm.device.{c}.Attached", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Optional(Address), PayloadRule.None, CallDialects.Both,
            $"The {c} devices that a running VM has.", (call, token) => new(Attached(call, c)))
        {
            Returns = "`<backend>+<port>:<device id> <key>='<value>' …\\n`", AskedArgument = argument => DeviceArgument.Asked(c, argument),
        },
        new($"vm.device.{c}.Attach", CallTarget.Vm, CallAccess.Execute, CallScope.Vm, ArgumentRule.Required(Address),
            PayloadRule.Optional("`<option>=<value> …`, such as `ro=True persistent=yes`; admin: `_<option>='<value>' …`"), CallDialects.Both,
            $"Gives a running VM a {c} device. With persistent=yes the policy is also asked for Assign, for a volume of a VM for that VM's vm.volume.CloneFrom.", (call, token) => AttachAsync(call, c, token))
        {
            AskedArgument = argument => DeviceArgument.Asked(c, argument), MoreQuestions = call => AttachQuestions(call, c),
        },
        new($"vm.device.{c}.Detach", CallTarget.Vm, CallAccess.Execute, CallScope.Vm, ArgumentRule.Required(Address), PayloadRule.None, CallDialects.Both,
            $"Takes a {c} device from a running VM; mgmt: of an assigned one also the assignment, for which the policy is asked for Unassign.", (call, token) => DetachAsync(call, c, token))
        {
            AskedArgument = argument => DeviceArgument.Asked(c, argument), MoreQuestions = call => IsPersistent(call, c) ? Questions(call, c, "Unassign") : [],
        },
    ];

    private ValueTask<ReadOnlyMemory<byte>> ListClasses(CallContext call, CancellationToken cancellation) =>
        new(Content.Lines(call.Argument.Length == 0 ? DeviceClass.All : [DeviceClass.Parse(call.Argument)]));

    private ReadOnlyMemory<byte> Available(CallContext call, DeviceClass c)
    {
        var devices = operations.Available(call.Target, c).Where(device => call.Argument.Length == 0 || device.Address.Port == call.Argument);
        return Content.Lines(devices.Select(device => call.IsMgmt
            ? DeviceText.AvailableDraft(device, DeviceSources.Users(call.State, device.Address))
            : DeviceText.Available(device, DeviceSources.Users(call.State, device.Address))));
    }

    private static ReadOnlyMemory<byte> List(CallContext call, DeviceClass c)
    {
        var vm = call.Target;
        var devices = vm.Status.Devices.Keys.Concat(vm.Assignments.Keys).Where(device => IsAsked(call, c, device)).Distinct().Order();
        return Content.Lines(devices.Select(device => DeviceText.Listed(
            device, vm.Assignments.ContainsKey(device), vm.Status.Devices.GetValueOrDefault(device)?.Options ?? vm.Assignments[device].Options)));
    }

    private ReadOnlyMemory<byte> Attached(CallContext call, DeviceClass c)
    {
        var attached = call.Target.Status.Devices.Values.Where(attachment => IsAsked(call, c, attachment.Device));
        return Content.Lines(attached.Select(attachment => DeviceText.Assigned(attachment.Device, operations.DeviceIdOf(attachment.Device),
            call.Target.Assignments.GetValueOrDefault(attachment.Device)?.Mode.Wire() ?? "manual", call.Target.Name, attachment.Options)));
    }

    private async ValueTask<ReadOnlyMemory<byte>> AttachAsync(CallContext call, DeviceClass c, CancellationToken cancellation)
    {
        var argument = DeviceArgument.Parse(c, call.Argument);
        var payload = DevicePayload.Parse(call.PayloadText("payload"), argument, call.Target.Name, call.IsMgmt);
        if (payload.Mode is not (null or "manual"))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Attach takes no mode but manual; Assign does");
        }
        if (!payload.Persistent)
        {
            await operations.AttachAsync(call.Target.Name, argument.Device, payload.DeviceId, payload.Options, cancellation);
            return Content.Empty;
        }
        await assignments.AssignAsync(call.Target.Name, new(argument.Device, DeviceMode.AutoAttach, payload.Options, payload.DeviceId), cancellation);
        if (call.Target.Status.State is VmState.Running or VmState.Paused)
        {
            try
            {
                await operations.AttachAsync(call.Target.Name, argument.Device, payload.DeviceId, payload.Options, cancellation);
            }
            catch
            {
                await assignments.UnassignAsync(call.Target.Name, argument.Device, cancellation);
                throw;
            }
        }
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> DetachAsync(CallContext call, DeviceClass c, CancellationToken cancellation)
    {
        var device = DeviceArgument.Parse(c, call.Argument).Device;
        var persistent = IsPersistent(call, c);
        if (!persistent || call.Target.Status.Devices.ContainsKey(device))
        {
            await operations.DetachAsync(call.Target.Name, device, cancellation);
        }
        if (persistent)
        {
            await assignments.UnassignAsync(call.Target.Name, device, cancellation);
        }
        return Content.Empty;
    }

    private static bool IsAsked(CallContext call, DeviceClass c, DeviceAddress device) =>
        device.Class == c && (call.Argument.Length == 0 || device == DeviceArgument.Parse(c, call.Argument).Device);

    /// <summary>Whether a detach also ends an assignment, as of when the call came: what the policy was asked about is what is done.</summary>
    private static bool IsPersistent(CallContext call, DeviceClass c) => call.IsMgmt && Targets.FindVm(call.State, Targets.Asked(call.State, call.Request)) is { } vm
        && vm.Assignments.ContainsKey(DeviceArgument.Parse(c, call.Argument).Device);

    internal static IEnumerable<CallQuestion> Questions(CallContext call, DeviceClass c, params string[] calls) =>
        calls.Select(name => new CallQuestion($"vm.device.{c}.{name}", DeviceArgument.Asked(c, call.Argument), Targets.Asked(call.State, call.Request)));

    private static IEnumerable<CallQuestion> AttachQuestions(CallContext call, DeviceClass c) =>
        (WantsPersistent(call, c) ? Questions(call, c, "Assign") : []).Concat(SourceQuestions(call, c));

    /// <summary>Who reads a VM's volume must be allowed to copy it.</summary>
    internal static IEnumerable<CallQuestion> SourceQuestions(CallContext call, DeviceClass c)
    {
        var device = DeviceArgument.Parse(c, call.Argument).Device;
        return device.Backend == VmName.Dom0 ? [] : [new("vm.volume.CloneFrom", device.Port, device.Backend.Value)];
    }

    /// <summary>A payload that is refused later asks for nothing.</summary>
    private static bool WantsPersistent(CallContext call, DeviceClass c)
    {
        try
        {
            return DevicePayload.Words(call.PayloadText("payload")).Any(word => word.Key == "persistent" && Parse.TryBoolean(word.Value) == true);
        }
        catch (MgmtException)
        {
            return false;
        }
    }
}
