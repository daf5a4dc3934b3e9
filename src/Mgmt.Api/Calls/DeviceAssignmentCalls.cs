namespace Mgmt.Api;

/// <summary>Devices that VMs are to have, by class, and interfaces that they must not. SOURCE: docs/devices.md.</summary>
public sealed class DeviceAssignmentCalls(DeviceAssignments assignments, PropertyWriter writer) : ICallGroup
{
    private const string Address = "`BACKEND+PORT`";
    private const string AllCodes = "all";

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        .. DeviceClass.All.SelectMany(Of),
        new("vm.device.denied.List", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "The codes of interfaces that no device attached to a VM may have.", ListDenied) { Returns = "`<code>` between line feeds" },
        new("vm.device.denied.Add", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.None, PayloadRule.Optional("codes of 7 characters, one after the other"), CallDialects.Both,
            "Adds such codes.", (call, token) => ChangeDeniedAsync(call, (codes, given) => codes.Union(given))),
        new("vm.device.denied.Remove", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.None, PayloadRule.Optional("codes, or `all`"), CallDialects.Both,
            "Removes such codes.", (call, token) => ChangeDeniedAsync(call, (codes, given) => codes.Except(given))),
    ];

    private IEnumerable<CallRow> Of(DeviceClass c) =>
    [
        new($"vm.device.{c}.Assigned", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Optional(Address), PayloadRule.None, CallDialects.Both,
            $"The {c} devices that a VM is to have.", (call, token) => new(Assigned(call, c)))
        {
            Returns = "`<backend>+<port>:<device id> <key>='<value>' …\\n`", AskedArgument = argument => DeviceArgument.Asked(c, argument),
        },
        new($"vm.device.{c}.Assign", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required(Address),
            PayloadRule.Required("`mode='<mode>' _<option>='<value>' …`"), CallDialects.Both,
            $"Says that a VM is to have a {c} device. Modes: required, auto-attach (the default), ask-to-attach.", (call, token) => AssignAsync(call, c, token))
        {
            AskedArgument = argument => DeviceArgument.Asked(c, argument), MoreQuestions = call => DeviceCalls.SourceQuestions(call, c),
        },
        new($"vm.device.{c}.Unassign", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required(Address), PayloadRule.None, CallDialects.Both,
            $"Takes that back; what is attached stays.", (call, token) => UnassignAsync(call, c, token))
        {
            AskedArgument = argument => DeviceArgument.Asked(c, argument),
        },
        new($"vm.device.{c}.Set.assignment", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required(Address),
            PayloadRule.Required("`required`, `ask-to-attach` or `auto-attach`"), CallDialects.Both, $"Gives an assignment of a {c} device another mode.", (call, token) => SetModeAsync(call, c, token))
        {
            AskedArgument = argument => DeviceArgument.Asked(c, argument),
        },
    ];

    private static ReadOnlyMemory<byte> Assigned(CallContext call, DeviceClass c)
    {
        var only = call.Argument.Length == 0 ? (DeviceAddress?)null : DeviceArgument.Parse(c, call.Argument).Device;
        return Content.Lines(call.Target.Assignments.Values.Where(a => a.Device.Class == c && (only is null || a.Device == only))
            .Select(a => DeviceText.Assigned(a.Device, a.DeviceId, a.Mode.Wire(), call.Target.Name, a.Options)));
    }

    private async ValueTask<ReadOnlyMemory<byte>> AssignAsync(CallContext call, DeviceClass c, CancellationToken cancellation)
    {
        DeviceCalls.RefuseHost(call);
        var argument = DeviceArgument.Parse(c, call.Argument);
        var payload = DevicePayload.Parse(call.PayloadText("payload"), argument, call.Target.Name, call.IsMgmt);
        if (payload.Persistent)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Unknown key in the payload: '%s'", "persistent");
        }
        var mode = payload.Mode is { } given ? DeviceModes.Parse(given) : DeviceMode.AutoAttach;
        await assignments.AssignAsync(call.Target.Name, new(argument.Device, mode, payload.Options, payload.DeviceId), cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> UnassignAsync(CallContext call, DeviceClass c, CancellationToken cancellation)
    {
        DeviceCalls.RefuseHost(call);
        await assignments.UnassignAsync(call.Target.Name, DeviceArgument.Parse(c, call.Argument).Device, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> SetModeAsync(CallContext call, DeviceClass c, CancellationToken cancellation)
    {
        DeviceCalls.RefuseHost(call);
        var mode = DeviceModes.Parse(call.PayloadText("payload"));
        await assignments.SetModeAsync(call.Target.Name, DeviceArgument.Parse(c, call.Argument).Device, mode, cancellation);
        return Content.Empty;
    }

    private ValueTask<ReadOnlyMemory<byte>> ListDenied(CallContext call, CancellationToken cancellation) => new(Content.Text(string.Join('\n', DeniedInterfaces.Of(call.Target))));

    private async ValueTask<ReadOnlyMemory<byte>> ChangeDeniedAsync(CallContext call, Func<IEnumerable<string>, IEnumerable<string>, IEnumerable<string>> with)
    {
        var text = call.PayloadText("payload");
        var given = text == AllCodes && call.Row.Name.EndsWith("Remove", StringComparison.Ordinal) ? null : DeniedInterfaces.Parse(text);
        await writer.ChangeAsync(call.Target.Name, DeniedInterfaces.Property, now =>
        {
            var before = DeniedInterfaces.Parse(now);
            return string.Concat(with(before, given ?? before).Order(StringComparer.Ordinal));
        });
        return Content.Empty;
    }
}
