using System.Globalization;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Labels. The eight built-in ones, index 1 to 8, cannot be removed.</summary>
public sealed class LabelCalls(StateStore store) : ICallGroup
{
    private const int LastBuiltin = 8;

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("label.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("label"), PayloadRule.None, CallDialects.Both,
            "The labels, by index.", List) { Returns = "`<label>\\n`" },
        new("label.Get", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("label"), PayloadRule.None, CallDialects.Both,
            "The colour of a label.", Get) { Returns = "`0xRRGGBB`" },
        new("label.Index", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.Required("label"), PayloadRule.None, CallDialects.Both,
            "The index of a label.", Index) { Returns = "decimal number" },
        new("label.Create", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("label"), PayloadRule.Required("`0xRRGGBB`"), CallDialects.Both,
            "Makes a label with the next free index.", Create),
        new("label.Remove", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("label"), PayloadRule.None, CallDialects.Both,
            "Removes a label that no VM has.", Remove),
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation) => new(call.Argument.Length > 0
        ? Content.Lines([Find(call.State, call.Argument).Name])
        : Content.Lines(call.State.Labels.Values.OrderBy(l => l.Index).Select(l => l.Name)));

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, CancellationToken cancellation) => new(Content.Text(Find(call.State, call.Argument).Color));

    private ValueTask<ReadOnlyMemory<byte>> Index(CallContext call, CancellationToken cancellation) =>
        new(Content.Text(Find(call.State, call.Argument).Index.ToString(CultureInfo.InvariantCulture)));

    private async ValueTask<ReadOnlyMemory<byte>> Create(CallContext call, CancellationToken cancellation)
    {
        var name = LabelName.Parse(call.Argument);
        var color = Color(call.PayloadText("label value"));
        await store.ApplyAsync(change =>
        {
            if (change.State.Labels.ContainsKey(name))
            {
                throw new MgmtException(ErrorCode.QubesValueError, "label %s already exists", name.Value);
            }
            var last = change.State.Labels.Values.Select(l => l.Index).DefaultIfEmpty(0).Max();
            change.PutLabel(new Label(name, Math.Max(LastBuiltin, last) + 1, color));
            change.Emit(MgmtEvent.Global("label-add", ("label", name.Value)));
        }, CancellationToken.None);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        await store.ApplyAsync(change =>
        {
            var label = Find(change.State, call.Argument);
            if (label.Index <= LastBuiltin)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "Label %s is built in and stays", label.Name.Value);
            }
            if (change.State.Vms.Values.Any(vm => vm.Property("label") == label.Name.Value))
            {
                throw new MgmtException(ErrorCode.QubesLabelInUseError, "Label is still in use: '%s'", label.Name.Value);
            }
            change.RemoveLabel(label.Name);
            change.Emit(MgmtEvent.Global("label-delete", ("label", label.Name.Value)));
        }, CancellationToken.None);
        return Content.Empty;
    }

    private static Label Find(HostState state, string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
        {
            return state.Labels.Values.FirstOrDefault(l => l.Index == index) ?? throw NotFound(text);
        }
        return state.Labels.GetValueOrDefault(LabelName.Parse(text)) ?? throw NotFound(text);
    }

    private static MgmtException NotFound(string text) => new(ErrorCode.QubesLabelNotFoundError, "Label does not exist: %s", text);

    private static string Color(string payload)
    {
        var text = payload.Trim();
        return text.Length == 8 && text.StartsWith("0x", StringComparison.Ordinal) && text.Skip(2).All(char.IsAsciiHexDigit)
            ? text.ToLowerInvariant()
            : throw new MgmtException(ErrorCode.QubesInvalidLabelValueError, "label value is 0x and six hexadecimal digits");
    }
}
