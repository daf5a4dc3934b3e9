using System.Globalization;
using System.Text;

namespace Mgmt.Cli.Rendering;

/// <summary>Text that came from elsewhere, made harmless for a line of a terminal or a cell of a table.</summary>
internal static class PlainText
{
    /// <summary>Control characters become <c>\xNN</c>, which keeps escape sequences from a guest away from the terminal.</summary>
    public static string OneLine(string text) => Escape(text, alsoBackslash: false);

    /// <summary>A cell between tabs: <c>\\ \n \t</c>, and other control characters as <c>\xNN</c>.</summary>
    public static string Cell(string text) => Escape(text, alsoBackslash: true);

    /// <summary>Several lines for a terminal: as <see cref="OneLine"/>, but newlines and tabs stay.</summary>
    public static string Lines(string text)
    {
        if (!text.Any(char.IsControl))
        {
            return text;
        }
        return string.Concat(text.Select(c => c is '\n' or '\t' || !char.IsControl(c) ? c.ToString() : OneLine(c.ToString())));
    }

    private static string Escape(string text, bool alsoBackslash)
    {
        if (!text.Any(c => char.IsControl(c) || (alsoBackslash && c == '\\')))
        {
            return text;
        }
        var escaped = new StringBuilder(text.Length + 8);
        foreach (var c in text)
        {
            _ = c switch
            {
                '\\' when alsoBackslash => escaped.Append(@"\\"),
                '\n' => escaped.Append(@"\n"),
                '\t' => escaped.Append(@"\t"),
                _ when char.IsControl(c) => escaped.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}"),
                _ => escaped.Append(c),
            };
        }
        return escaped.ToString();
    }
}
