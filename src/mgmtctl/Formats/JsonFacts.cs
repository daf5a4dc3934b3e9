using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Cli.Formats;

/// <summary>JSON answers, whatever members they have. ERRORS: ProtocolError for bytes that are no JSON.</summary>
internal static class JsonFacts
{
    public static JsonDocument Parse(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return JsonDocument.Parse(bytes);
        }
        catch (JsonException error)
        {
            throw new MgmtException(error, ErrorCode.ProtocolError, "The daemon's answer is no JSON");
        }
    }

    /// <summary>Every value with its path: <c>policy.state</c>, <c>notes.0</c>. Empty lists and objects are left out.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Flatten(JsonElement element, string path = "")
    {
        var below = path.Length == 0 ? "" : path + ".";
        return element.ValueKind switch
        {
            JsonValueKind.Object => element.EnumerateObject().SelectMany(member => Flatten(member.Value, below + member.Name)),
            JsonValueKind.Array => element.EnumerateArray().SelectMany((item, index) => Flatten(item, $"{below}{index}")),
            _ => [new(path, Text(element))],
        };
    }

    /// <summary>The text of a member; empty when there is none. Lists are joined by commas.</summary>
    public static string Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member) ? Text(member) : "";

    private static string Text(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString()!,
        JsonValueKind.Null or JsonValueKind.Undefined => "",
        JsonValueKind.Array => string.Join(",", element.EnumerateArray().Select(Text)),
        _ => element.GetRawText(),
    };
}
