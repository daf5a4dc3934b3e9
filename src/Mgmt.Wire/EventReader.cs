using System.Buffers;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>
/// Reads events one by one from what has come so far. SHAPE:
/// <c>31 00 SUBJECT 00 EVENT 00 ( KEY 00 VALUE 00 )* 00</c>, keys are not empty. SOURCE: docs/wire.md, "Events".
/// </summary>
public static class EventReader
{
    /// <summary>The longest event in bytes; a peer that sends more is not believed.</summary>
    public const int MaxFrameBytes = 1 << 20;

    /// <summary>
    /// Takes one event off the front of <paramref name="buffer"/>. False, and the buffer as it was, when it is not all
    /// there yet. ERRORS: ProtocolError for bytes that begin no event, or an event longer than <see cref="MaxFrameBytes"/>.
    /// </summary>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, [NotNullWhen(true)] out MgmtEvent? value)
    {
        var reader = new SequenceReader<byte>(buffer);
        value = TryReadFrame(ref reader);
        if ((value is null ? buffer.Length : reader.Consumed) > MaxFrameBytes)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Event stream: an event is longer than %s bytes", "1048576");
        }
        if (value is null)
        {
            return false;
        }
        buffer = buffer.Slice(reader.Position);
        return true;
    }

    private static MgmtEvent? TryReadFrame(ref SequenceReader<byte> reader)
    {
        if (!TryExpect(ref reader, (byte)'1') || !TryExpect(ref reader, 0)
            || !TryReadText(ref reader, out var subject) || !TryReadText(ref reader, out var name))
        {
            return null;
        }
        var pairs = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>();
        while (TryReadText(ref reader, out var key))
        {
            if (key.Length == 0)
            {
                return new MgmtEvent(subject, name, pairs.ToImmutable());
            }
            if (!TryReadText(ref reader, out var text))
            {
                return null;
            }
            pairs.Add(new(key, text));
        }
        return null;
    }

    private static bool TryExpect(ref SequenceReader<byte> reader, byte expected) =>
        reader.TryRead(out var got) && (got == expected
            ? true
            : throw new MgmtException(ErrorCode.ProtocolError, "Event stream: these bytes begin no event"));

    private static bool TryReadText(ref SequenceReader<byte> reader, [NotNullWhen(true)] out string? text)
    {
        text = reader.TryReadTo(out ReadOnlySequence<byte> bytes, (byte)0) ? Encoding.UTF8.GetString(bytes) : null;
        return text is not null;
    }
}
