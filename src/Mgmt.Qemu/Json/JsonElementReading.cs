using System.Text.Json;

namespace Mgmt.Qemu;

/// <summary>Reading of answers that may have any shape.</summary>
internal static class JsonElementReading
{
    /// <summary>A member that is text, or null.</summary>
    public static string? Text(this JsonElement element, string key) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
