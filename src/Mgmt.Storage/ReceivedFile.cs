using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// A file that is filled from its beginning as bytes come: one large piece is written while the next one comes. A piece goes past the page cache where
/// the file system can: it saves a copy of everything, and what the host's memory holds for others stays there. Zeros are not written; the file has them
/// from the beginning and takes no space for them.
/// </summary>
internal sealed class ReceivedFile : IAsyncDisposable
{
    private const int PieceBytes = 4 << 20;

    // What is not written may be smaller than that, what is written is a multiple of it: the largest block of a disk.
    private const int GrainBytes = 64 << 10, Alignment = 4096;

    private readonly SafeFileHandle _cached;
    private SafeFileHandle? _direct;
    private Piece _filling = new();
    private Piece _written = new();
    private Task _writing = Task.CompletedTask;

    /// <summary>An existing empty file. Past the page cache only if <paramref name="direct"/>: not what is read again at once.</summary>
    internal ReceivedFile(string file, long sizeBytes, bool direct)
    {
        _cached = PoolDirectory.Open(file, write: true);
        RandomAccess.SetLength(_cached, sizeBytes);
        _direct = direct ? PoolDirectory.TryOpenDirect(file) : null;
    }

    internal async Task AppendAsync(ReadOnlySequence<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var count = (int)Math.Min(bytes.Length, PieceBytes - _filling.Count);
            _filling.Append(bytes.Slice(0, count));
            bytes = bytes.Slice(count);
            if (_filling.Count == PieceBytes)
            {
                await SwapAsync();
            }
        }
    }

    /// <summary>All has come. Nothing is certain to be on the disk yet.</summary>
    internal async Task CompleteAsync()
    {
        await SwapAsync();
        await _writing;
    }

    public async ValueTask DisposeAsync()
    {
        // Not while a piece is being written; what comes of that is nobody's concern any more.
        await _writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _direct?.Dispose();
        _cached.Dispose();
    }

    private async Task SwapAsync()
    {
        await _writing;
        var offset = _filling.Offset + _filling.Count;
        (_filling, _written) = (_written, _filling);
        _filling.Restart(offset);
        _writing = Task.Run(() => Write(_written));
    }

    private void Write(Piece piece)
    {
        var bytes = piece.Bytes;
        for (var at = 0; at < bytes.Length;)
        {
            var length = RunLength(bytes[at..], out var isZero);
            if (!isZero)
            {
                Write(bytes.Slice(at, length), piece.Offset + at);
            }
            at += length;
        }
    }

    private void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        var direct = WriteDirect(bytes[..(bytes.Length & -Alignment)], offset);
        if (direct < bytes.Length)
        {
            RandomAccess.Write(_cached, bytes[direct..], offset + direct);
        }
    }

    /// <summary>How much of it was written past the page cache: all or nothing.</summary>
    private int WriteDirect(ReadOnlySpan<byte> bytes, long offset)
    {
        if (_direct is null || bytes.IsEmpty)
        {
            return 0;
        }
        try
        {
            RandomAccess.Write(_direct, bytes, offset);
            return bytes.Length;
        }
        catch (IOException refused) when (refused.HResult == Errno.Invalid)
        {
            // The file system opens such files and then does not want them after all.
            _direct.Dispose();
            _direct = null;
            return 0;
        }
    }

    /// <summary>How many bytes from here on are all zeros, or are to be written; in grains.</summary>
    private static int RunLength(ReadOnlySpan<byte> bytes, out bool isZero)
    {
        isZero = IsZero(bytes[..Math.Min(GrainBytes, bytes.Length)]);
        for (var at = GrainBytes; at < bytes.Length; at += GrainBytes)
        {
            if (IsZero(bytes[at..Math.Min(at + GrainBytes, bytes.Length)]) != isZero)
            {
                return at;
            }
        }
        return bytes.Length;
    }

    private static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);

    /// <summary>Memory for a piece, aligned as a disk wants it and never moved.</summary>
    private sealed class Piece
    {
        private readonly byte[] _memory = GC.AllocateUninitializedArray<byte>(PieceBytes + Alignment, pinned: true);
        private readonly int _start;

        internal Piece() => _start = (int)(-Marshal.UnsafeAddrOfPinnedArrayElement(_memory, 0) & (Alignment - 1));

        internal long Offset { get; private set; }

        internal int Count { get; private set; }

        internal ReadOnlySpan<byte> Bytes => _memory.AsSpan(_start, Count);

        internal void Append(ReadOnlySequence<byte> bytes)
        {
            bytes.CopyTo(_memory.AsSpan(_start + Count));
            Count += (int)bytes.Length;
        }

        internal void Restart(long offset) => (Offset, Count) = (offset, 0);
    }
}
