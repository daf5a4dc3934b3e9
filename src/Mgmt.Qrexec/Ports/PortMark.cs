namespace Mgmt.Qrexec;

/// <summary>
/// The bytes that begin a conversation on a port and occur nowhere else in its stream: a body of data that holds them is cut in their middle.
/// SOURCE: docs/guest-channels.md, "The mark".
/// </summary>
public static class PortMark
{
    /// <summary>Bytes of a mark.</summary>
    public const int Size = 16;

    /// <summary>Bytes of the nonce after it.</summary>
    public const int NonceSize = 16;

    private const int CutAfter = 8;

    /// <summary>All different and at least 0xa0, so that none of it fits into a header and a search never has to step back.</summary>
    public static ReadOnlySpan<byte> Bytes => [0xd7, 0xa3, 0xf1, 0xbc, 0xe9, 0xc6, 0xaf, 0xfa, 0xb5, 0xe2, 0xcd, 0xa8, 0xf6, 0xbe, 0xd1, 0xeb];

    /// <summary>How many of the bytes may go into one message: up to the middle of the first mark in them, at most <paramref name="max"/>.</summary>
    public static int Piece(ReadOnlySpan<byte> body, int max)
    {
        var whole = Math.Min(body.Length, max);
        // A mark that reaches beyond the piece is cut by the piece's own end.
        var at = body[..whole].IndexOf(Bytes);
        return at < 0 ? whole : at + CutAfter;
    }
}

/// <summary>Finds marks in a stream that comes in blocks, wherever the blocks are cut.</summary>
public struct MarkScanner
{
    private int _matched;

    /// <summary>Looks for a mark that ends in the block: the index after its last byte, or -1. What follows it is for the next call.</summary>
    public int Find(ReadOnlySpan<byte> block)
    {
        var at = 0;
        while (_matched > 0 && at < block.Length && block[at] == PortMark.Bytes[_matched])
        {
            at++;
            if (++_matched == PortMark.Size)
            {
                _matched = 0;
                return at;
            }
        }
        if (at == block.Length)
        {
            return -1;
        }
        // No byte of a mark is like another: where it does not go on, it can only begin.
        _matched = 0;
        var found = block[at..].IndexOf(PortMark.Bytes);
        if (found >= 0)
        {
            return at + found + PortMark.Size;
        }
        _matched = Begun(block[at..]);
        return -1;
    }

    private static int Begun(ReadOnlySpan<byte> block)
    {
        for (var length = Math.Min(PortMark.Size - 1, block.Length); length > 0; length--)
        {
            if (block.EndsWith(PortMark.Bytes[..length]))
            {
                return length;
            }
        }
        return 0;
    }
}
