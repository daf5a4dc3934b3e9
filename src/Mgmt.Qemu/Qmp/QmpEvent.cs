using System.Text.Json;

namespace Mgmt.Qemu;

/// <summary>
/// An event of QEMU's monitor. Data is Undefined for an event without any. Pending are the commands of ours that were sent and not
/// answered when it came: an event that a command causes comes before the command's reply.
/// </summary>
internal sealed record QmpEvent(string Name, JsonElement Data, string[] Pending)
{
    /// <summary>When it happened, by QEMU's clock, which is the host's; null when it does not say. Of an event that QEMU held back, as it does where there are many of a kind, it is the time before.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>A member of the data that is text, or null.</summary>
    public string? Text(string key) => Data.Text(key);

    /// <summary>A member of the data that is true.</summary>
    public bool IsTrue(string key) => Data.ValueKind == JsonValueKind.Object && Data.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;
}
