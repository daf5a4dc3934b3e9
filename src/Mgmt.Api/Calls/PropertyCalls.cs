using System.Text;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Properties of VMs (vm.property.*) and of the host (property.*): one set of handlers, two rows for each.</summary>
public sealed class PropertyCalls(PropertyTable table, PropertyWriter writer, PolicyGate policy) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows => [.. RowsOf("property.", CallTarget.Dom0, CallScope.Host, "the host"), .. RowsOf("vm.property.", CallTarget.Any, CallScope.Vm, "a VM")];

    private IEnumerable<CallRow> RowsOf(string prefix, CallTarget target, CallScope scope, string holder) =>
    [
        new(prefix + "List", target, CallAccess.Read, scope, ArgumentRule.OneEntry("property"), PayloadRule.None, CallDialects.Both,
            $"The properties of {holder}.", List) { Returns = "`<property>\\n`" },
        new(prefix + "Get", target, CallAccess.Read, scope, ArgumentRule.Required("property"), PayloadRule.None, CallDialects.Both,
            $"A property of {holder}.", Get) { Returns = "`default=<yes,no> type=<str,int,bool,vm,label> <value>`" },
        new(prefix + "GetAll", target, CallAccess.Read, scope, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            $"All properties of {holder} that the policy lets the caller Get.", GetAll) { Returns = "`<property> <as in Get>\\n`, in the value `\\` is `\\\\` and LF `\\n`" },
        new(prefix + "GetDefault", target, CallAccess.Read, scope, ArgumentRule.Required("property"), PayloadRule.None, CallDialects.Both,
            $"The default of a property of {holder}.", GetDefault) { Returns = "`type=<type> <value>`, nothing when there is none" },
        new(prefix + "Help", target, CallAccess.Read, scope, ArgumentRule.Required("property"), PayloadRule.None, CallDialects.Both,
            "What a property means.", Help) { Returns = "text" },
        new(prefix + "HelpRst", target, CallAccess.Read, scope, ArgumentRule.Required("property"), PayloadRule.None, CallDialects.Mgmt,
            "What a property means, as reStructuredText.", HelpRst) { Returns = "reST" },
        new(prefix + "Set", target, CallAccess.Write, scope, ArgumentRule.Required("property"), PayloadRule.Optional("value"), CallDialects.Both,
            $"Sets a property of {holder}.", Set) { ValueArgument = ValueArgument },
        new(prefix + "Reset", target, CallAccess.Write, scope, ArgumentRule.Required("property"), PayloadRule.None, CallDialects.Both,
            $"Puts a property of {holder} back at its default.", Reset),
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => new(call.Argument.Length > 0
        ? Content.Lines([Find(call).Name])
        : Content.Lines(table.List(Vm(call)).Select(p => p.Name)));

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, CancellationToken cancellation) =>
        new(Content.Text(Line(call, table.Get(call.State, Vm(call), Find(call)))));

    private ValueTask<ReadOnlyMemory<byte>> GetAll(CallContext call, CancellationToken cancellation)
    {
        var vm = Vm(call);
        var get = vm is null ? "property.Get" : "vm.property.Get";
        var text = new StringBuilder();
        foreach (var definition in table.List(vm))
        {
            if (!policy.AllowsEvent(call.Source, new(get, definition.Name, call.Target.Name.Value)))
            {
                call.Withheld++;
                continue;
            }
            var line = Line(call, table.Get(call.State, vm, definition)).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
            text.Append(definition.Name).Append(' ').Append(line).Append('\n');
        }
        return new(Content.Text(text.ToString()));
    }

    private ValueTask<ReadOnlyMemory<byte>> GetDefault(CallContext call, CancellationToken cancellation)
    {
        var definition = Find(call);
        // What was given to a VM when it was made is no default of it; to dom0 nothing was.
        return new((definition.Access == PropertyAccess.WriteOnce && Vm(call)?.Class != VmClass.AdminVM) || definition.Default(table.Scope(call.State, Vm(call))) is not { } value
            ? Content.Empty
            : Content.Text($"type={definition.TypeName} {value}"));
    }

    private ValueTask<ReadOnlyMemory<byte>> Help(CallContext call, CancellationToken cancellation) => new(Content.Text(Find(call).Help));

    private ValueTask<ReadOnlyMemory<byte>> HelpRst(CallContext call, CancellationToken cancellation)
    {
        var definition = Find(call);
        return new(Content.Text($".. describe:: {definition.Name}\n\n   {definition.Help}\n\n   :type: {definition.TypeName}\n   :access: {definition.Access.ToString().ToLowerInvariant()}\n"));
    }

    private async ValueTask<ReadOnlyMemory<byte>> Set(CallContext call, CancellationToken cancellation)
    {
        await writer.SetAsync(Vm(call)?.Name, call.Argument, call.PayloadText("property value"));
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Reset(CallContext call, CancellationToken cancellation)
    {
        await writer.ResetAsync(Vm(call)?.Name, call.Argument);
        return Content.Empty;
    }

    /// <summary>The value as it will be kept: a rule against True is one against yes and 1, too.</summary>
    private static string? ValueArgument(CallContext call)
    {
        var bytes = call.Payload.Bytes.Span;
        var type = PropertyTable.TypeOf(call.Argument, ofHost: !call.Row.Name.StartsWith("vm.", StringComparison.Ordinal));
        if (type is not (PropertyType.Bool or PropertyType.Int) || bytes.Length is 0 or > 64)
        {
            return Values.Argument(call);
        }
        var text = Encoding.ASCII.GetString(bytes);
        var canonical = type == PropertyType.Int
            ? PropertyParsers.Number(text) is { } number ? PropertyParsers.Number((long)number) : text
            : Parse.TryBoolean(text) is { } truth ? Parse.Text(truth) : text;
        return Values.Argument(call, Encoding.ASCII.GetBytes(canonical));
    }

    /// <summary>The holder: null for the host's own properties. dom0 as a VM has properties of its own.</summary>
    private static VmRecord? Vm(CallContext call) => call.Row.Name.StartsWith("vm.", StringComparison.Ordinal) ? call.Target : null;

    private PropertyDefinition Find(CallContext call) => table.Find(Vm(call), call.Argument);

    private static string Line(CallContext call, PropertyValue value)
    {
        var isDefault = call.IsMgmt ? value.IsDefault ? "yes" : "no" : Parse.Text(value.IsDefault);
        return $"default={isDefault} type={value.Definition.TypeName} {value.Text}";
    }
}
