using System.Text;
using Mgmt.Core;

namespace Mgmt.State;

/// <summary>
/// Text that comes back from the database as it went in. SQLite's tools cut text at a NUL, and half a surrogate pair
/// would silently become U+FFFD, so neither gets that far.
/// </summary>
internal static class StoredText
{
    /// <summary>The text itself. ERRORS: QubesValueError.</summary>
    internal static string Check(string text)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "text contains a zero byte");
        }
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            var ascii = rest.IndexOfAnyExceptInRange('\u0001', '\u007f');
            if (ascii < 0)
            {
                break;
            }
            rest = rest[ascii..];
            if (Rune.DecodeFromUtf16(rest, out _, out var length) != System.Buffers.OperationStatus.Done)
            {
                throw new MgmtException(ErrorCode.QubesValueError, "text contains half a character");
            }
            rest = rest[length..];
        }
        return text;
    }
}
