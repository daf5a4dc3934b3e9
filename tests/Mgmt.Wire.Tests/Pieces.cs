using System.Buffers;

namespace Mgmt.Wire.Tests;

/// <summary>Bytes in two separate pieces of memory.</summary>
internal static class Pieces
{
    public static ReadOnlySequence<byte> Of(ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second)
    {
        var tail = new Piece(second, null, first.Length);
        return new ReadOnlySequence<byte>(new Piece(first, tail, 0), 0, tail, second.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, Piece? next, long start)
        {
            Memory = memory;
            Next = next;
            RunningIndex = start;
        }
    }
}
