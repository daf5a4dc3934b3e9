using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mgmt.Core;

namespace Mgmt.Cli.Formats;

/// <summary>
/// The arguments of an agent's command as people write them.
/// <code>
/// words = JSON object | *( name "=" value )     a list: name again for each, or JSON
/// value = text as it is | digits | true, false | base64 | JSON for what has an inside
/// </code>
/// </summary>
internal static class AgentWords
{
    /// <summary>The payload; empty for none. ERRORS: UsageException. What the daemon checks anyway is left to it.</summary>
    public static ReadOnlyMemory<byte> Payload(AgentCommand command, IReadOnlyList<string> words)
    {
        if (words is [var only] && only.StartsWith('{'))
        {
            return Encoding.UTF8.GetBytes(only);
        }
        var values = words.Select(Split).ToLookup(pair => pair.Name, pair => pair.Value, StringComparer.Ordinal);
        if (values.Count == 0)
        {
            return ReadOnlyMemory<byte>.Empty;
        }
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            foreach (var one in values)
            {
                json.WritePropertyName(one.Key);
                Write(json, command, one.Key, [.. one]);
            }
            json.WriteEndObject();
        }
        return bytes.WrittenMemory;
    }

    private static (string Name, string Value) Split(string word)
    {
        var at = word.IndexOf('=', StringComparison.Ordinal);
        return at > 0 ? (word[..at], word[(at + 1)..]) : throw new UsageException($"'{word}' is neither NAME=VALUE nor a JSON object");
    }

    private static void Write(Utf8JsonWriter json, AgentCommand command, string name, string[] values)
    {
        var member = command.Arguments.Properties.FirstOrDefault(property => property.Name == name)
            ?? throw new UsageException($"{command.Call} has no argument '{name}'; it takes {AgentShape.Describe(command.Arguments)}");
        var type = AgentShape.TypeOf(member);
        if (type.Kind == JsonTypeInfoKind.Enumerable && !(values is [var whole] && whole.StartsWith('[')))
        {
            json.WriteStartArray();
            foreach (var value in values)
            {
                One(json, type.Options.GetTypeInfo(type.ElementType!), name, value);
            }
            json.WriteEndArray();
            return;
        }
        if (values.Length > 1)
        {
            throw new UsageException($"'{name}' is given {values.Length} times and is no list");
        }
        // A number of the guest's is a text of ours.
        if (name == command.HandleArgument)
        {
            json.WriteStringValue(values[0]);
        }
        else
        {
            One(json, type, name, values[0]);
        }
    }

    private static void One(Utf8JsonWriter json, JsonTypeInfo type, string name, string value)
    {
        if (type.Kind != JsonTypeInfoKind.None)
        {
            Raw(json, name, value);
        }
        else if (type.Type == typeof(long))
        {
            json.WriteNumberValue(long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : throw new UsageException($"'{name}' is a whole number, not '{value}'"));
        }
        else if (type.Type == typeof(bool))
        {
            json.WriteBooleanValue(Parse.TryBoolean(value) ?? throw new UsageException($"'{name}' is true or false, not '{value}'"));
        }
        else
        {
            json.WriteStringValue(value);
        }
    }

    private static void Raw(Utf8JsonWriter json, string name, string value)
    {
        try
        {
            json.WriteRawValue(value);
        }
        catch (JsonException error)
        {
            throw new UsageException($"'{name}' is JSON, and '{value}' is none: {error.Message}");
        }
    }
}
