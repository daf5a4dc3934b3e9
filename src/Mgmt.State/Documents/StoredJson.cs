using System.Buffers;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.State.Documents;

/// <summary>What the documents have in common: readable text, no field that is not known.</summary>
internal static class StoredJson
{
    // The documents never become part of a web page, so only what JSON itself demands is escaped.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    internal static Utf8JsonWriter Begin(ArrayBufferWriter<byte> buffer)
    {
        buffer.ResetWrittenCount();
        return new Utf8JsonWriter(buffer, Options);
    }

    internal static void WriteMap(this Utf8JsonWriter json, ReadOnlySpan<byte> name, ImmutableSortedDictionary<string, string> map)
    {
        json.WriteStartObject(name);
        json.WriteEntries(map);
        json.WriteEndObject();
    }

    internal static void WriteEntries(this Utf8JsonWriter json, ImmutableSortedDictionary<string, string> map)
    {
        foreach (var (key, value) in map)
        {
            json.WriteString(StoredText.Check(key), StoredText.Check(value));
        }
    }

    internal static void StartObject(this ref Utf8JsonReader json) => json.Expect(JsonTokenType.StartObject);

    internal static void StartArray(this ref Utf8JsonReader json) => json.Expect(JsonTokenType.StartArray);

    /// <summary>The next field's name; the reader stands on it, and the value follows. False at the object's end.</summary>
    internal static bool NextField(this ref Utf8JsonReader json, out string name)
    {
        json.Read();
        name = json.TokenType == JsonTokenType.PropertyName ? json.GetString()! : "";
        return json.TokenType == JsonTokenType.PropertyName;
    }

    /// <summary>Moves to the next item of an array. False at its end.</summary>
    internal static bool NextItem(this ref Utf8JsonReader json) => json.Read() && json.TokenType != JsonTokenType.EndArray;

    /// <summary>The next value, a text.</summary>
    internal static string Text(this ref Utf8JsonReader json) => json.TextOrNull() ?? throw new FormatException("text expected");

    /// <summary>The next value, a text or null.</summary>
    internal static string? TextOrNull(this ref Utf8JsonReader json)
    {
        json.Read();
        return json.GetString();
    }

    /// <summary>The next value, an object of texts.</summary>
    internal static ImmutableSortedDictionary<string, string> Map(this ref Utf8JsonReader json, StringPool pool)
    {
        json.StartObject();
        var map = VmRecord.Empty.ToBuilder();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var key = pool.Get(ref json);
            json.Read();
            map.Add(key, pool.Get(ref json));
        }
        return map.Count == 0 ? VmRecord.Empty : map.ToImmutable();
    }

    internal static FormatException Unknown(string field) => new($"unknown field '{field}'");

    private static void Expect(this ref Utf8JsonReader json, JsonTokenType token)
    {
        json.Read();
        if (json.TokenType != token)
        {
            throw new FormatException($"{token} expected, {json.TokenType} found");
        }
    }
}
