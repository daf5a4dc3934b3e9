using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mgmt.Core;

/// <summary>Writes what <see cref="DocumentReader"/> reads, every member that is there, sorted.</summary>
internal sealed class DocumentWriter(Utf8JsonWriter json)
{
    public static JsonWriterOptions Options { get; } = new()
    {
        Indented = true,
        NewLine = "\n",
        // The document is a file, never part of a page.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public void Write(HostState state)
    {
        json.WriteStartObject();
        json.WriteStartObject("labels");
        foreach (var label in state.Labels.Values.OrderBy(label => label.Name))
        {
            json.WriteStartObject(label.Name.Value);
            json.WriteNumber("index", label.Index);
            json.WriteString("color", label.Color);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteStartObject("pools");
        foreach (var pool in state.Pools.Values.OrderBy(pool => pool.Name))
        {
            json.WriteStartObject(pool.Name.Value);
            json.WriteString("driver", pool.Driver);
            Texts("config", pool.Config);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        Texts("properties", state.Properties);
        json.WriteStartObject("vms");
        foreach (var vm in state.Vms.Values.OrderBy(vm => vm.Name))
        {
            Vm(vm);
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void Vm(VmRecord vm)
    {
        json.WriteStartObject(vm.Name.Value);
        json.WriteString("class", vm.Class.ToString());
        json.WriteNumber("qid", vm.Qid);
        json.WriteString("uuid", vm.Uuid.ToString("D"));
        if (vm.Status.State is VmState.Transient or VmState.Running or VmState.Paused or VmState.Suspended or VmState.Halting)
        {
            json.WriteString("state", nameof(VmState.Running));
        }
        Texts("properties", vm.Properties);
        Texts("features", vm.Features);
        json.WriteStartArray("tags");
        foreach (var tag in vm.Tags.Order())
        {
            json.WriteStringValue(tag.Value);
        }
        json.WriteEndArray();
        json.WriteStartObject("volumes");
        foreach (var volume in vm.Volumes.Values.OrderBy(volume => volume.Name.Wire(), StringComparer.Ordinal))
        {
            Volume(volume);
        }
        json.WriteEndObject();
        AssignmentWriter.Write(json, vm);
        if (vm.Notes.Length > 0)
        {
            json.WriteString("notes", vm.Notes);
        }
        json.WriteEndObject();
    }

    private void Volume(VolumeRecord volume)
    {
        json.WriteStartObject(volume.Name.Wire());
        json.WriteString("pool", volume.Pool.Value);
        json.WriteString("vid", volume.Vid?.Value);
        json.WriteNumber("size", volume.SizeBytes);
        json.WriteBoolean("rw", volume.Writable);
        json.WriteBoolean("save_on_stop", volume.SaveOnStop);
        json.WriteBoolean("snap_on_start", volume.SnapOnStart);
        if (volume.Source is { } source)
        {
            json.WriteString("source", source.Value);
        }
        if (volume.RevisionsToKeep is { } revisions)
        {
            json.WriteNumber("revisions_to_keep", revisions);
        }
        json.WriteBoolean("ephemeral", volume.Ephemeral);
        json.WriteEndObject();
    }

    private void Texts(string name, IEnumerable<KeyValuePair<string, string>> texts)
    {
        json.WriteStartObject(name);
        foreach (var (key, value) in texts.OrderBy(text => text.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }
        json.WriteEndObject();
    }
}
