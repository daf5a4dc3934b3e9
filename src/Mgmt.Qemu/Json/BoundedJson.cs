using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Mgmt.Qemu;

/// <summary>
/// JSON from outside, with its size in every direction capped before anything is built from it: depth, number of tokens, and
/// (by the line reader) bytes. Every string in the result can be read: bad UTF-8 becomes U+FFFD, half surrogates are refused.
/// </summary>
internal static class BoundedJson
{
    public const int MaxDepth = 64;

    /// <summary>Gives the one value in <paramref name="text"/>. ERRORS: JsonException for anything else, or more than the caps.</summary>
    public static JsonElement Parse(ReadOnlySpan<byte> text, int maxTokens)
    {
        if (!Utf8.IsValid(text))
        {
            text = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(text));
        }
        Check(text, maxTokens);
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = MaxDepth });
        return JsonElement.ParseValue(ref reader);
    }

    private static void Check(ReadOnlySpan<byte> text, int maxTokens)
    {
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = MaxDepth });
        var tokens = 0;
        while (reader.Read())
        {
            if (++tokens > maxTokens)
            {
                throw new JsonException("too many values");
            }
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
            {
                RefuseHalfSurrogates(ref reader);
            }
        }
        if (tokens == 0)
        {
            throw new JsonException("no value");
        }
    }

    // Left in, they would throw InvalidOperationException wherever the string is read first.
    private static void RefuseHalfSurrogates(ref Utf8JsonReader reader)
    {
        try
        {
            reader.GetString();
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("half a surrogate pair", e);
        }
    }
}
