using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.State.Documents;

/// <summary>
/// A VM's configuration as one JSON document; name, qid and UUID are columns beside it, the run is a document of its own.
/// </summary>
/// <remarks>
/// SHAPE: <c>{"class":C,"properties":{N:V…},"features":{N:V…},"tags":[T…],"volumes":{N:VOLUME…},"devices":[ASSIGNMENT…]?,"notes":T?}</c>, where ASSIGNMENT is that of
/// <see cref="AssignmentDocument"/> and VOLUME is
/// <c>{"pool":P,"vid":V|null,"size":BYTES,"rw":B,"save_on_stop":B,"snap_on_start":B,"source":V?,"revisions_to_keep":N?,"ephemeral":B}</c>.
/// A field that is not named here is refused.
/// </remarks>
internal static class VmDocument
{
    internal static ReadOnlySpan<byte> Write(VmRecord vm, ArrayBufferWriter<byte> buffer)
    {
        using (var json = StoredJson.Begin(buffer))
        {
            json.WriteStartObject();
            json.WriteString("class"u8, Name(vm.Class));
            json.WriteMap("properties"u8, vm.Properties);
            json.WriteMap("features"u8, vm.Features);
            json.WriteStartArray("tags"u8);
            foreach (var tag in vm.Tags)
            {
                json.WriteStringValue(tag.Value);
            }
            json.WriteEndArray();
            json.WriteStartObject("volumes"u8);
            foreach (var volume in vm.Volumes.Values)
            {
                WriteVolume(json, volume);
            }
            json.WriteEndObject();
            AssignmentDocument.WriteAll(json, vm.Assignments);
            if (vm.Notes.Length > 0)
            {
                json.WriteString("notes"u8, StoredText.Check(vm.Notes));
            }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan;
    }

    /// <summary>ERRORS: FormatException, JsonException or MgmtException when the document is damaged.</summary>
    internal static VmRecord Read(ReadOnlySpan<byte> text, VmName name, int qid, Guid uuid, VmRun? run, StringPool pool)
    {
        var json = new Utf8JsonReader(text);
        VmClass? vmClass = null;
        var vm = new VmRecord { Name = name, Class = default, Qid = qid, Uuid = uuid };
        json.StartObject();
        while (json.NextField(out var field))
        {
            switch (field)
            {
                case "class": vmClass = ParseClass(json.Text()); break;
                case "properties": vm = vm with { Properties = json.Map(pool) }; break;
                case "features": vm = vm with { Features = json.Map(pool) }; break;
                case "tags": vm = vm with { Tags = ReadTags(ref json, pool) }; break;
                case "volumes": vm = vm with { Volumes = ReadVolumes(ref json, pool) }; break;
                case "devices": vm = vm with { Assignments = AssignmentDocument.ReadAll(ref json, pool) }; break;
                case "notes": vm = vm with { Notes = json.Text() }; break;
                default: throw StoredJson.Unknown(field);
            }
        }
        var known = vmClass ?? throw new FormatException("no class");
        return vm with { Class = known, Status = StatusOf(known, run) };
    }

    // Nothing is known of a process until it was adopted.
    private static VmStatus StatusOf(VmClass vmClass, VmRun? run) =>
        run is not null ? new VmStatus { State = VmState.NA, Run = run }
        : vmClass == VmClass.AdminVM ? new VmStatus { State = VmState.Running }
        : VmStatus.Halted;

    private static void WriteVolume(Utf8JsonWriter json, VolumeRecord volume)
    {
        json.WriteStartObject(volume.Name.Wire());
        json.WriteString("pool"u8, volume.Pool.Value);
        json.WriteString("vid"u8, volume.Vid?.Value);
        json.WriteNumber("size"u8, volume.SizeBytes);
        json.WriteBoolean("rw"u8, volume.Writable);
        json.WriteBoolean("save_on_stop"u8, volume.SaveOnStop);
        json.WriteBoolean("snap_on_start"u8, volume.SnapOnStart);
        if (volume.Source is { } source)
        {
            json.WriteString("source"u8, source.Value);
        }
        if (volume.RevisionsToKeep is { } revisions)
        {
            json.WriteNumber("revisions_to_keep"u8, revisions);
        }
        json.WriteBoolean("ephemeral"u8, volume.Ephemeral);
        json.WriteEndObject();
    }

    private static ImmutableSortedSet<TagName> ReadTags(ref Utf8JsonReader json, StringPool pool)
    {
        var tags = ImmutableSortedSet.CreateBuilder<TagName>();
        json.StartArray();
        while (json.NextItem())
        {
            tags.Add(TagName.Parse(pool.Get(ref json)));
        }
        return tags.ToImmutable();
    }

    private static ImmutableSortedDictionary<VolumeName, VolumeRecord> ReadVolumes(ref Utf8JsonReader json, StringPool pool)
    {
        var volumes = ImmutableSortedDictionary.CreateBuilder<VolumeName, VolumeRecord>();
        json.StartObject();
        while (json.NextField(out var name))
        {
            var volume = ReadVolume(ref json, VolumeNames.Parse(name), pool);
            volumes.Add(volume.Name, volume);
        }
        return volumes.ToImmutable();
    }

    private static VolumeRecord ReadVolume(ref Utf8JsonReader json, VolumeName name, StringPool strings)
    {
        PoolName? pool = null;
        Vid? vid = null, source = null;
        long? size = null;
        int? revisions = null;
        bool? writable = null, save = null, snap = null, ephemeral = null;
        json.StartObject();
        while (json.NextField(out var field))
        {
            switch (field)
            {
                case "pool": json.Read(); pool = PoolName.Parse(strings.Get(ref json)); break;
                case "vid": vid = json.TextOrNull() is { } id ? Vid.Parse(id) : null; break;
                case "size": json.Read(); size = json.GetInt64(); break;
                case "rw": json.Read(); writable = json.GetBoolean(); break;
                case "save_on_stop": json.Read(); save = json.GetBoolean(); break;
                case "snap_on_start": json.Read(); snap = json.GetBoolean(); break;
                case "source": json.Read(); source = Vid.Parse(strings.Get(ref json)); break;
                case "revisions_to_keep": json.Read(); revisions = json.GetInt32(); break;
                case "ephemeral": json.Read(); ephemeral = json.GetBoolean(); break;
                default: throw StoredJson.Unknown(field);
            }
        }
        return pool is { } inPool && size is { } bytes && writable is { } rw && save is { } saved && snap is { } snapped
            ? new VolumeRecord
            {
                Name = name, Pool = inPool, Vid = vid, SizeBytes = bytes, Writable = rw, SaveOnStop = saved, SnapOnStart = snapped,
                Source = source, RevisionsToKeep = revisions, Ephemeral = ephemeral ?? false,
            }
            : throw new FormatException("a volume lacks a field");
    }

    private static string Name(VmClass vmClass) => vmClass switch
    {
        VmClass.AppVM => "AppVM",
        VmClass.TemplateVM => "TemplateVM",
        VmClass.StandaloneVM => "StandaloneVM",
        VmClass.AdminVM => "AdminVM",
        VmClass.DispVM => "DispVM",
        VmClass.RemoteVM => "RemoteVM",
        _ => throw new ArgumentOutOfRangeException(nameof(vmClass)),
    };

    private static VmClass ParseClass(string text) => text switch
    {
        "AppVM" => VmClass.AppVM,
        "TemplateVM" => VmClass.TemplateVM,
        "StandaloneVM" => VmClass.StandaloneVM,
        "AdminVM" => VmClass.AdminVM,
        "DispVM" => VmClass.DispVM,
        "RemoteVM" => VmClass.RemoteVM,
        _ => throw new FormatException($"unknown class '{text}'"),
    };
}
