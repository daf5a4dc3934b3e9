namespace Mgmt.Cli.Formats;

/// <summary>Texts made of <c>key=value</c>. A word without <c>=</c> is a key without value; nothing is refused.</summary>
internal static class KeyValues
{
    /// <summary><c>key=value key=value</c>.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> OfWords(string text) => Of(text, ' ');

    /// <summary><c>key=value\n</c> each.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> OfLines(string text) => Of(text, '\n');

    /// <summary>The value of a key, or the empty text.</summary>
    public static string Find(this IReadOnlyList<KeyValuePair<string, string>> pairs, string key)
    {
        foreach (var pair in pairs)
        {
            if (pair.Key == key)
            {
                return pair.Value;
            }
        }
        return "";
    }

    private static KeyValuePair<string, string>[] Of(string text, char separator) =>
        [.. text.Split(separator, StringSplitOptions.RemoveEmptyEntries).Select(One)];

    private static KeyValuePair<string, string> One(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? new(text, "") : new(text[..equals], text[(equals + 1)..]);
    }
}
