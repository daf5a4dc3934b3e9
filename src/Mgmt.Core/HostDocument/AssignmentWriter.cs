using System.Text.Json;

namespace Mgmt.Core;

/// <summary>Writes the assigned devices of a VM; nothing when there are none.</summary>
internal static class AssignmentWriter
{
    public static void Write(Utf8JsonWriter json, VmRecord vm)
    {
        if (vm.Assignments.IsEmpty)
        {
            return;
        }
        json.WriteStartObject("devices");
        foreach (var kind in vm.Assignments.Values.GroupBy(a => a.Device.Class).OrderBy(group => group.Key))
        {
            json.WriteStartObject(kind.Key.Name);
            foreach (var assignment in kind)
            {
                json.WriteStartObject(assignment.Device.ToString());
                json.WriteString("mode", assignment.Mode.Wire());
                if (assignment.DeviceId is { } id)
                {
                    json.WriteString("device_id", id);
                }
                json.WriteStartObject("options");
                foreach (var (name, value) in assignment.Options.Pairs)
                {
                    json.WriteString(name, value);
                }
                json.WriteEndObject();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }
}
