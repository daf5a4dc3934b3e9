using System.Text.Json;

namespace Mgmt.Qemu;

/// <summary>An event of QEMU's monitor. Data is Undefined for an event without any.</summary>
internal sealed record QmpEvent(string Name, JsonElement Data)
{
    /// <summary>A member of the data that is text, or null.</summary>
    public string? Text(string key) => Data.Text(key);

    /// <summary>A member of the data that is true.</summary>
    public bool IsTrue(string key) => Data.ValueKind == JsonValueKind.Object && Data.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;
}
