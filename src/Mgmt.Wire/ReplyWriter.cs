using System.Buffers;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>
/// Writes reply frames. SHAPE:
/// <code>
/// OK         30 00 CONTENT
/// EVENT      31 00 SUBJECT 00 EVENT 00 ( KEY 00 VALUE 00 )* 00
/// EXCEPTION  32 00 TYPE 00 TRACEBACK 00 FORMAT 00 ( FIELD 00 )*
/// </code>
/// Text is UTF-8. A NUL would shift everything after it: in values, fields, messages and tracebacks, which may quote
/// what others wrote, it becomes <c>_</c>; in subjects, event names and keys, which are ours, it is a defect.
/// SOURCE: docs/wire.md, "Reply".
/// </summary>
public static class ReplyWriter
{
    /// <summary>What an OK reply begins with.</summary>
    public static ReadOnlyMemory<byte> OkMark { get; } = "0\0"u8.ToArray();

    /// <summary>Writes an OK frame; the end of the connection ends the content.</summary>
    public static void WriteOk(IBufferWriter<byte> output, ReadOnlySpan<byte> content)
    {
        output.Write(OkMark.Span);
        output.Write(content);
    }

    /// <summary>
    /// Writes an EVENT frame: the event's pairs, then <paramref name="extraPairs"/> (such as the cursor).
    /// ERRORS: ArgumentException for a NUL in subject, name or key, or an empty key.
    /// </summary>
    public static void WriteEvent(IBufferWriter<byte> output, MgmtEvent @event, ReadOnlySpan<KeyValuePair<string, string>> extraPairs)
    {
        // Checked first, so that a refused event leaves no half frame behind.
        CheckOurs(@event.Subject);
        CheckOurs(@event.Name);
        CheckKeys(@event.Pairs.AsSpan());
        CheckKeys(extraPairs);
        output.Write("1\0"u8);
        WriteText(output, @event.Subject);
        WriteText(output, @event.Name);
        WritePairs(output, @event.Pairs.AsSpan());
        WritePairs(output, extraPairs);
        output.Write("\0"u8);
    }

    /// <summary>Writes an EXCEPTION frame in the mgmt.* dialect.</summary>
    public static void WriteException(IBufferWriter<byte> output, MgmtException error, string traceback) =>
        WriteException(output, error, traceback, adminDialect: false);

    /// <summary>Writes an EXCEPTION frame; the dialects differ in the TYPE of a denial only.</summary>
    public static void WriteException(IBufferWriter<byte> output, MgmtException error, string traceback, bool adminDialect)
    {
        output.Write("2\0"u8);
        WriteText(output, ErrorTypes.Of(error.Code, adminDialect));
        WriteText(output, traceback);
        WriteText(output, error.Template);
        foreach (var field in error.Fields)
        {
            WriteText(output, field);
        }
    }

    private static void WritePairs(IBufferWriter<byte> output, ReadOnlySpan<KeyValuePair<string, string>> pairs)
    {
        foreach (var (key, value) in pairs)
        {
            WriteText(output, key);
            WriteText(output, value);
        }
    }

    private static void WriteText(IBufferWriter<byte> output, string text)
    {
        Encoding.UTF8.GetBytes(text.Replace('\0', '_'), output);
        output.Write("\0"u8);
    }

    private static void CheckKeys(ReadOnlySpan<KeyValuePair<string, string>> pairs)
    {
        foreach (var (key, _) in pairs)
        {
            CheckOurs(key);
            if (key.Length == 0)
            {
                throw new ArgumentException("an event key is empty");
            }
        }
    }

    private static void CheckOurs(string text)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("a NUL in a subject, event name or key");
        }
    }
}
