using System.Buffers;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>What a stock qrexec policy daemon asks the host before each decision. SOURCE: internal.GetSystemInfo of Qubes OS 4.4.</summary>
public sealed class SystemInfoCalls(PropertyTable properties) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("internal.GetSystemInfo", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "The VMs as a qrexec policy sees them; also served under this name without a prefix.", GetSystemInfo) { Returns = "JSON" },
    ];

    private ValueTask<ReadOnlyMemory<byte>> GetSystemInfo(CallContext call, CancellationToken cancellation)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("domains"u8);
            foreach (var vm in call.State.Vms.Values)
            {
                Write(json, call.State, vm);
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return new(Content.Of(buffer));
    }

    private void Write(Utf8JsonWriter json, HostState state, VmRecord vm)
    {
        json.WriteStartObject(vm.Name.Value);
        json.WriteStartArray("tags"u8);
        foreach (var tag in vm.Tags)
        {
            json.WriteStringValue(tag.Value);
        }
        json.WriteEndArray();
        json.WriteString("type"u8, vm.Class.ToString());
        json.WriteBoolean("template_for_dispvms"u8, vm.Property("template_for_dispvms") == "True");
        json.WriteString("default_dispvm"u8, properties.TryReferent(state, vm, "default_dispvm")?.Name.Value);
        json.WriteString("icon"u8, VmProperties.IconOf(vm));
        json.WriteString("label"u8, vm.Property("label") ?? "black");
        json.WriteString("guivm"u8, properties.TryReferent(state, vm, "guivm")?.Name.Value);
        json.WriteString("power_state"u8, vm.Status.State.ToString());
        json.WriteString("relayvm"u8, properties.TryReferent(state, vm, "relayvm")?.Name.Value);
        json.WriteString("transport_rpc"u8, vm.Property("transport_rpc") is { Length: > 0 } transport ? transport : null);
        json.WriteString("uuid"u8, vm.Uuid.ToString("D"));
        json.WriteString("internal"u8, vm.Features.GetValueOrDefault("internal"));
        json.WriteEndObject();
    }
}
