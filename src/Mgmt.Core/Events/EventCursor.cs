using System.Globalization;

namespace Mgmt.Core;

/// <summary>
/// A place in the journal. SHAPE: <c>EPOCH.SEQ</c>, 16 lower-case hexadecimal digits that are random per store made or
/// restored, a dot, and a decimal number.
/// </summary>
public readonly record struct EventCursor(ulong Epoch, ulong Sequence)
{
    /// <summary>Reads a cursor, or gives null when the text is none.</summary>
    public static EventCursor? TryParse(string text)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        return dot == 16 && !text.AsSpan(0, 16).ContainsAnyExcept("0123456789abcdef")
            && ulong.TryParse(text.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var epoch)
            && ulong.TryParse(text.AsSpan(17), NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            && (text.Length == 18 || text[17] != '0')
            ? new(epoch, sequence)
            : null;
    }

    /// <summary>The cursor as text.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Epoch:x16}.{Sequence}");
}
