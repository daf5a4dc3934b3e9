using System.Collections.Concurrent;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>
/// The channels on which VMs call, for call.Channels. SHAPE: an array of objects, by name of the VM: <c>vm</c>, and what whoever serves its channels says of them (docs/guest-channels.md,
/// "What is going on").
/// </summary>
public sealed class GuestChannels
{
    private readonly ConcurrentDictionary<VmName, Action<Utf8JsonWriter>> _vms = new();

    /// <summary>The channels of that VM are served now; <paramref name="write"/> writes members of its object, from memory. Disposing takes it out.</summary>
    public IDisposable Enter(VmName vm, Action<Utf8JsonWriter> write)
    {
        _vms[vm] = write;
        return new Entry(_vms, new(vm, write));
    }

    /// <summary>Writes them all.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach (var (vm, write) in _vms.OrderBy(entry => entry.Key.Value, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            json.WriteString("vm", vm.Value);
            write(json);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private sealed class Entry(ConcurrentDictionary<VmName, Action<Utf8JsonWriter>> vms, KeyValuePair<VmName, Action<Utf8JsonWriter>> entry) : IDisposable
    {
        // Only its own: the VM may have been started again.
        public void Dispose() => vms.TryRemove(entry);
    }
}
