using System.Collections.Immutable;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.State.Documents;

/// <summary>The assigned devices in a VM's document.</summary>
/// <remarks>SHAPE: <c>{"class":C,"backend":VM,"port":P,"mode":M,"device_id":ID?,"options":{N:V…}}</c> each; none of it when there are none.</remarks>
internal static class AssignmentDocument
{
    internal static void WriteAll(Utf8JsonWriter json, ImmutableSortedDictionary<DeviceAddress, DeviceAssignment> assignments)
    {
        if (assignments.IsEmpty)
        {
            return;
        }
        json.WriteStartArray("devices"u8);
        foreach (var assignment in assignments.Values)
        {
            json.WriteStartObject();
            json.WriteString("class"u8, assignment.Device.Class.Name);
            json.WriteString("backend"u8, assignment.Device.Backend.Value);
            json.WriteString("port"u8, assignment.Device.Port);
            json.WriteString("mode"u8, assignment.Mode.Wire());
            if (assignment.DeviceId is { } id)
            {
                json.WriteString("device_id"u8, StoredText.Check(id));
            }
            json.WriteMap("options"u8, assignment.Options.Pairs.ToImmutableSortedDictionary(StringComparer.Ordinal));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>ERRORS: FormatException, JsonException or MgmtException when the document is damaged.</summary>
    internal static ImmutableSortedDictionary<DeviceAddress, DeviceAssignment> ReadAll(ref Utf8JsonReader json, StringPool pool)
    {
        var assignments = ImmutableSortedDictionary.CreateBuilder<DeviceAddress, DeviceAssignment>();
        json.StartArray();
        while (json.NextItem())
        {
            var assignment = Read(ref json, pool);
            assignments.Add(assignment.Device, assignment);
        }
        return assignments.ToImmutable();
    }

    // The reader stands on the start of the object.
    private static DeviceAssignment Read(ref Utf8JsonReader json, StringPool pool)
    {
        string? deviceClass = null, backend = null, port = null, mode = null, id = null;
        var options = VmRecord.Empty;
        while (json.NextField(out var field))
        {
            switch (field)
            {
                case "class": deviceClass = json.Text(); break;
                case "backend": backend = json.Text(); break;
                case "port": port = json.Text(); break;
                case "mode": mode = json.Text(); break;
                case "device_id": id = json.Text(); break;
                case "options": options = json.Map(pool); break;
                default: throw StoredJson.Unknown(field);
            }
        }
        if (deviceClass is null || backend is null || port is null || mode is null)
        {
            throw new FormatException("an assigned device lacks a field");
        }
        var known = DeviceClass.Parse(deviceClass);
        return new(DeviceAddress.Of(known, VmName.Parse(backend), port), DeviceModes.Parse(mode), DeviceOptions.Parse(known, options), id);
    }
}
