using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace Mgmt.State.Documents;

/// <summary>
/// The two plain documents: a pool's parameters <c>{KEY:VALUE…}</c>, and the pairs of an event <c>[KEY,VALUE,…]</c>, a
/// list because their order counts.
/// </summary>
internal static class TextDocuments
{
    internal static ReadOnlySpan<byte> WriteMap(ImmutableSortedDictionary<string, string> map, ArrayBufferWriter<byte> buffer)
    {
        using (var json = StoredJson.Begin(buffer))
        {
            json.WriteStartObject();
            json.WriteEntries(map);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan;
    }

    internal static ImmutableSortedDictionary<string, string> ReadMap(ReadOnlySpan<byte> text, StringPool pool)
    {
        var json = new Utf8JsonReader(text);
        return json.Map(pool);
    }

    internal static ReadOnlySpan<byte> WritePairs(ImmutableArray<KeyValuePair<string, string>> pairs, ArrayBufferWriter<byte> buffer)
    {
        using (var json = StoredJson.Begin(buffer))
        {
            json.WriteStartArray();
            foreach (var (key, value) in pairs)
            {
                json.WriteStringValue(StoredText.Check(key));
                json.WriteStringValue(StoredText.Check(value));
            }
            json.WriteEndArray();
        }
        return buffer.WrittenSpan;
    }

    internal static ImmutableArray<KeyValuePair<string, string>> ReadPairs(ReadOnlySpan<byte> text)
    {
        var pairs = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>();
        var json = new Utf8JsonReader(text);
        json.StartArray();
        while (json.NextItem())
        {
            pairs.Add(new(json.GetString()!, json.Text()));
        }
        return pairs.DrainToImmutable();
    }
}
