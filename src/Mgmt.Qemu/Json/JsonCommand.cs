using System.Buffers;
using System.Text.Json;

namespace Mgmt.Qemu;

/// <summary>Writes <c>{"execute":…,"arguments":…,"id":…}\n</c>, the shape that QMP and the guest agent share.</summary>
internal static class JsonCommand
{
    /// <summary><paramref name="argumentsJson"/> is a JSON object or null, <paramref name="lead"/> a byte to send first, if any.</summary>
    public static byte[] Write(string command, string? argumentsJson, long? id, byte? lead)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        if (lead is { } first)
        {
            buffer.Write([first]);
        }
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("execute"u8, command);
            if (argumentsJson is not null)
            {
                json.WritePropertyName("arguments"u8);
                json.WriteRawValue(argumentsJson);
            }
            if (id is { } number)
            {
                json.WriteNumber("id"u8, number);
            }
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
