using System.Globalization;
using System.Text.Json;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>QEMU's commands on devices. SOURCE: QEMU's QMP reference, device_add, block devices. ERRORS: those of <see cref="QmpConnection"/>.</summary>
internal sealed class DeviceCommands(QmpConnection monitor, TimeSpan deadline)
{
    private const string Peripheral = """{"path":"/machine/peripheral"}""";

    /// <summary>The ids of all devices that have one.</summary>
    public async Task<IReadOnlyList<string>> IdsAsync(CancellationToken cancellation)
    {
        var list = await AskAsync("qom-list", Peripheral, cancellation);
        return list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Where(item => item.Text("type")?.StartsWith("child<", StringComparison.Ordinal) == true).Select(item => item.Text("name")).OfType<string>()]
            : [];
    }

    public Task<long> AddFileAsync(SafeFileHandle file, string mark, CancellationToken cancellation) => monitor.AddFileAsync(file, mark, deadline, cancellation);

    /// <summary>The nodes of one image: formats are said, never probed, and a name inside the image is never followed.</summary>
    public async Task AddImageAsync(string node, string? below, long set, ImageLayer layer, bool readOnly, CancellationToken cancellation)
    {
        var access = readOnly ? "\"read-only\":true" : "\"read-only\":false,\"discard\":\"unmap\"";
        var driver = Descriptors.IsInDev(layer.File) ? "host_device" : "file";
        await AskAsync("blockdev-add", Invariant($$"""{"driver":"{{driver}}","node-name":"{{node}}-file","filename":"/dev/fdset/{{set}}",{{access}}}"""), cancellation);
        var backing = layer.Format != "qcow2" ? "" : below is null ? ",\"backing\":null" : $",\"backing\":\"{below}\"";
        await AskAsync("blockdev-add", $$"""{"driver":"{{layer.Format}}","node-name":"{{node}}","file":"{{node}}-file",{{access}}{{backing}}}""", cancellation);
    }

    /// <summary>Plugs a device in. All values are ours or of the charset of names.</summary>
    public Task AddDeviceAsync(string driver, string id, string bus, CancellationToken cancellation, params ReadOnlySpan<(string Key, string Value)> more)
    {
        var text = $$"""{"driver":"{{driver}}","id":"{{id}}","bus":"{{bus}}" """;
        foreach (var (key, value) in more)
        {
            text += $",\"{key}\":\"{value}\"";
        }
        return AskAsync("device_add", text + "}", cancellation);
    }

    /// <summary>Asks for a device to go; that it went is told by an event.</summary>
    public Task RemoveDeviceAsync(string id, CancellationToken cancellation) => AskAsync("device_del", $$"""{"id":"{{id}}"}""", cancellation);

    private async Task<JsonElement> AskAsync(string command, string? arguments, CancellationToken cancellation) =>
        await monitor.ExecuteAsync(command, arguments, deadline, cancellation);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
