using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;

namespace Mgmt.Core;

/// <summary>
/// A piece of a content that is sent while it is made, or of what is typed on a terminal, so that its end can be told from a connection that broke.
/// <code>
/// frame = TYPE(1) LENGTH(2, big endian) BYTES(LENGTH)
/// TYPE  = "S" what it is, key=value lines, first     "D" data     "X" the end, key=value lines, last      (daemon to caller)
///       | "D" typed bytes    "W" rows(2) columns(2)                                                       (caller to daemon)
/// </code>
/// SOURCE: docs/wire.md, "Framed contents".
/// </summary>
public readonly record struct ContentFrame(byte Type, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>What the content is.</summary>
    public const byte Start = (byte)'S';

    /// <summary>Data.</summary>
    public const byte Data = (byte)'D';

    /// <summary>The end.</summary>
    public const byte End = (byte)'X';

    /// <summary>The size of a terminal.</summary>
    public const byte Window = (byte)'W';

    /// <summary>The most bytes of one frame.</summary>
    public const int MaxBytes = ushort.MaxValue;

    private const int HeadBytes = 3;
    private const int WindowBytes = 4;

    /// <summary>A terminal's size.</summary>
    public static ContentFrame OfWindow(int rows, int columns)
    {
        var bytes = new byte[WindowBytes];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)Math.Clamp(rows, 0, ushort.MaxValue));
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(2), (ushort)Math.Clamp(columns, 0, ushort.MaxValue));
        return new ContentFrame(Window, bytes);
    }

    /// <summary>Rows and columns of a frame of that type; null when it is of another length.</summary>
    public (int Rows, int Columns)? WindowSize => Bytes.Length == WindowBytes
        ? (BinaryPrimitives.ReadUInt16BigEndian(Bytes.Span), BinaryPrimitives.ReadUInt16BigEndian(Bytes.Span[2..]))
        : null;

    /// <summary>The frame as bytes. ERRORS: ArgumentOutOfRangeException for more than <see cref="MaxBytes"/>.</summary>
    public byte[] ToArray()
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Bytes.Length, MaxBytes);
        var frame = new byte[HeadBytes + Bytes.Length];
        frame[0] = Type;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), (ushort)Bytes.Length);
        Bytes.Span.CopyTo(frame.AsSpan(HeadBytes));
        return frame;
    }

    /// <summary>The next frame; null at an end between frames. ERRORS: ProtocolError for an end within one.</summary>
    public static async ValueTask<ContentFrame?> ReadAsync(PipeReader reader, CancellationToken cancellation)
    {
        while (true)
        {
            var read = await reader.ReadAsync(cancellation);
            if (TryRead(read.Buffer, out var frame, out var next))
            {
                reader.AdvanceTo(next);
                return frame;
            }
            var (empty, over) = (read.Buffer.IsEmpty, read.IsCompleted || read.IsCanceled);
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (over)
            {
                return empty ? null : throw new MgmtException(ErrorCode.ProtocolError, "end of input within a frame");
            }
        }
    }

    private static bool TryRead(ReadOnlySequence<byte> buffer, out ContentFrame frame, out SequencePosition next)
    {
        var head = new byte[HeadBytes];
        (frame, next) = (default, buffer.Start);
        if (buffer.Length < HeadBytes)
        {
            return false;
        }
        buffer.Slice(0, HeadBytes).CopyTo(head);
        var length = BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(1));
        if (buffer.Length < HeadBytes + length)
        {
            return false;
        }
        frame = new ContentFrame(head[0], buffer.Slice(HeadBytes, length).ToArray());
        next = buffer.GetPosition(HeadBytes + length);
        return true;
    }
}
