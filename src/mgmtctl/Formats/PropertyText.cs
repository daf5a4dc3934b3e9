using System.Text;
using Mgmt.Core;

namespace Mgmt.Cli.Formats;

/// <summary>
/// A property as property.Get and GetAll write it. SHAPE: <c>default=yes|no type=T VALUE</c>, GetAll with
/// <c>NAME </c> before it and <c>\\</c>, <c>\n</c> in it; GetDefault without <c>default=</c>. ERRORS: ProtocolError.
/// </summary>
internal sealed record PropertyText(string Name, bool IsDefault, string Type, string Value)
{
    public static PropertyText OfGet(string name, string text)
    {
        var parts = text.Split(' ', 3);
        return parts.Length == 3 && Word(parts[0], "default=") is { } isDefault && Word(parts[1], "type=") is { } type
            ? new(name, isDefault is "yes" or "True", type, parts[2])
            : throw new MgmtException(ErrorCode.ProtocolError, "The daemon's answer is no property: %s", text);
    }

    public static PropertyText OfLine(string line)
    {
        var space = line.IndexOf(' ', StringComparison.Ordinal);
        return OfGet(space < 0 ? "" : line[..space], Unescape(line[(space + 1)..]));
    }

    /// <summary>The value of <c>type=T VALUE</c>; empty when there is no default.</summary>
    public static string OfGetDefault(string text) => text.IndexOf(' ', StringComparison.Ordinal) is >= 0 and var space ? text[(space + 1)..] : "";

    private static string? Word(string part, string prefix) => part.StartsWith(prefix, StringComparison.Ordinal) ? part[prefix.Length..] : null;

    private static string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal))
        {
            return text;
        }
        var plain = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            plain.Append(text[i] == '\\' && i + 1 < text.Length ? (text[++i] == 'n' ? '\n' : text[i]) : text[i]);
        }
        return plain.ToString();
    }
}
