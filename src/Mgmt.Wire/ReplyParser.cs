using System.Collections.Immutable;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>
/// Reads a whole reply: everything up to the end of the connection. SHAPE: as <see cref="ReplyWriter"/> writes it,
/// without events. Text that is not UTF-8 gets U+FFFD. SOURCE: docs/wire.md, "Reply".
/// </summary>
public static class ReplyParser
{
    /// <summary>
    /// Reads a reply. ERRORS: ProtocolError: nothing came; the frame is incomplete (the message starts with
    /// <c>Incomplete reply</c>); an unknown frame; an event where a reply is due.
    /// </summary>
    /// <remarks>An OK frame has no end mark, so one that was cut off inside its content cannot be told from a whole one.</remarks>
    public static Reply Parse(ReadOnlyMemory<byte> wholeReply)
    {
        var bytes = wholeReply.Span;
        if (bytes.IsEmpty)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Empty reply: the daemon closed the connection without an answer");
        }
        if (bytes[0] is not ((byte)'0' or (byte)'1' or (byte)'2'))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Unknown reply frame");
        }
        if (bytes.Length == 1)
        {
            throw Incomplete("only its first byte came");
        }
        return (bytes[0], bytes[1]) switch
        {
            ((byte)'0', 0) => new Reply.Ok(wholeReply[2..]),
            ((byte)'2', 0) => ParseFailure(bytes[2..]),
            ((byte)'1', 0) => throw new MgmtException(ErrorCode.ProtocolError, "The daemon answers with an event stream, not with one reply"),
            _ => throw new MgmtException(ErrorCode.ProtocolError, "Unknown reply frame"),
        };
    }

    private static Reply.Failure ParseFailure(ReadOnlySpan<byte> rest)
    {
        var type = Next(ref rest, "the type of an error");
        var traceback = Next(ref rest, "the traceback of an error");
        var template = Next(ref rest, "the message of an error");
        var fields = ImmutableArray.CreateBuilder<string>();
        while (!rest.IsEmpty)
        {
            fields.Add(Next(ref rest, "a field of an error"));
        }
        // Fewer fields than places is how a frame looks that was cut off between two fields.
        return fields.Count >= TemplateText.CountPlaces(template)
            ? new Reply.Failure(type, traceback, template, fields.ToImmutable())
            : throw Incomplete("fields of an error are missing");
    }

    private static string Next(ref ReadOnlySpan<byte> rest, string what)
    {
        var end = rest.IndexOf((byte)0);
        if (end < 0)
        {
            throw Incomplete("it ends inside " + what);
        }
        var text = Encoding.UTF8.GetString(rest[..end]);
        rest = rest[(end + 1)..];
        return text;
    }

    private static MgmtException Incomplete(string where) => new(ErrorCode.ProtocolError, "Incomplete reply: " + where);
}
