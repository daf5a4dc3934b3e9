using System.Text.Json;

namespace Mgmt.State.Documents;

/// <summary>
/// One string for equal texts while a store is loaded: a thousand VMs share the names and most values of their
/// properties. Texts are found by their bytes, so that a text seen before costs no allocation.
/// </summary>
internal sealed class StringPool
{
    private readonly Dictionary<string, string> _strings = new(StringComparer.Ordinal);
    private readonly char[] _buffer = new char[LongestShared];

    // Longer ones are rarely shared.
    private const int LongestShared = 64;

    /// <summary>The text the reader stands on.</summary>
    internal string Get(ref Utf8JsonReader json)
    {
        if (json.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName))
        {
            throw new FormatException($"text expected, {json.TokenType} found");
        }
        if (json.ValueSpan.Length > LongestShared)
        {
            return json.GetString()!;
        }
        var text = _buffer.AsSpan(0, json.CopyString(_buffer));
        var lookup = _strings.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!lookup.TryGetValue(text, out var shared))
        {
            shared = text.ToString();
            _strings.Add(shared, shared);
        }
        return shared;
    }
}
