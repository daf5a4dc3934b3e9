using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>What a guest last said of itself, each with its time. In memory only, gone with the VM's process.</summary>
internal sealed record GuestFacts
{
    internal static GuestFacts None { get; } = new();

    /// <summary>By name: <c>os</c>, <c>host-name</c>, <c>interfaces</c>, <c>users</c>, <c>timezone</c>, <c>time-drift-ms</c>.</summary>
    internal ImmutableSortedDictionary<string, GuestFact> All { get; private init; } = ImmutableSortedDictionary.Create<string, GuestFact>(StringComparer.Ordinal);

    internal GuestFacts With(string name, JsonElement value, DateTimeOffset at) => new() { All = All.SetItem(name, new(value, at)) };

    internal GuestFacts Without(string name) => new() { All = All.Remove(name) };

    /// <summary>SHAPE: <c>{"agent": "ready", "facts": {"os": {"age_ms": 5, "value": …}, …}}</c>.</summary>
    internal ReadOnlyMemory<byte> Write(AgentState agent, DateTimeOffset now)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString("agent", LifecycleChanges.Wire(agent));
            json.WriteStartObject("facts");
            foreach (var (name, fact) in All)
            {
                json.WriteStartObject(name);
                json.WriteNumber("age_ms", Math.Max(0, (long)(now - fact.At).TotalMilliseconds));
                json.WritePropertyName("value");
                fact.Value.WriteTo(json);
                json.WriteEndObject();
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return Content.Of(bytes);
    }
}

/// <summary>One thing that a guest said, and when.</summary>
internal sealed record GuestFact(JsonElement Value, DateTimeOffset At);
