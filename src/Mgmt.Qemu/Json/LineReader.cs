namespace Mgmt.Qemu;

/// <summary>What <see cref="LineReader.ReadAsync"/> found.</summary>
internal enum LineKind
{
    /// <summary>A line without its newline.</summary>
    Line,
    /// <summary>A line longer than the cap; its bytes are gone. Without sentinels it may not have ended yet.</summary>
    TooLong,
    /// <summary>The other side closed; a last line without a newline is dropped.</summary>
    End,
}

/// <summary>One read. Bytes are valid until the next read. AfterSentinel: a byte 0xFF stood before them.</summary>
internal readonly record struct Line(LineKind Kind, ReadOnlyMemory<byte> Bytes, bool AfterSentinel);

/// <summary>
/// Splits a stream into lines of at most <paramref name="maxBytes"/> (or less, <see cref="Limit"/>), in a buffer that grows no further. With
/// <paramref name="sentinels"/> a byte 0xFF, which JSON never has, throws away what stood before it in its line: that is how
/// the guest agent's protocol gets back into step.
/// </summary>
internal sealed class LineReader(Stream stream, int maxBytes, bool sentinels)
{
    private const int FirstSize = 4096;
    private const byte Sentinel = 0xFF;

    private byte[] _buffer = new byte[FirstSize];
    private int _start;
    private int _end;
    private int _scanned;
    private bool _afterSentinel;
    private bool _tooLong;

    /// <summary>The longest line from now on, at most <c>maxBytes</c>.</summary>
    public int Limit { get; set; } = maxBytes;

    /// <summary>Whether bytes were read that no line has given yet.</summary>
    public bool HasUnread => _end > _start || _tooLong;

    /// <summary>Reads the next line. A cancelled read loses nothing. ERRORS: IOException.</summary>
    public async ValueTask<Line> ReadAsync(CancellationToken cancellation)
    {
        while (true)
        {
            if (TryTake(out var line))
            {
                return line;
            }
            MakeRoom();
            var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellation);
            if (read == 0)
            {
                return new Line(LineKind.End, default, false);
            }
            _end += read;
        }
    }

    private bool TryTake(out Line line)
    {
        var fresh = _buffer.AsSpan(_scanned, _end - _scanned);
        var newline = fresh.IndexOf((byte)'\n');
        var stop = newline < 0 ? _end : _scanned + newline;
        DropToSentinel(stop);
        if (newline < 0)
        {
            _scanned = _end;
            if (_tooLong || _end - _start > Limit)
            {
                _tooLong = true;
                _start = _end;
            }
            // Without sentinels nothing can mend it before the newline, and the newline may never come.
            line = new Line(LineKind.TooLong, default, false);
            return _tooLong && !sentinels;
        }
        _tooLong |= stop - _start > Limit;
        line = _tooLong ? new Line(LineKind.TooLong, default, false) : new Line(LineKind.Line, _buffer.AsMemory(_start, stop - _start), _afterSentinel);
        _start = _scanned = stop + 1;
        _afterSentinel = _tooLong = false;
        return true;
    }

    private void DropToSentinel(int stop)
    {
        if (!sentinels)
        {
            return;
        }
        var at = _buffer.AsSpan(_scanned, stop - _scanned).LastIndexOf(Sentinel);
        if (at >= 0)
        {
            _start = _scanned + at + 1;
            _afterSentinel = true;
            _tooLong = false;
        }
    }

    private void MakeRoom()
    {
        if (_start == _end)
        {
            _start = _end = _scanned = 0;
            if (_buffer.Length > 16 * FirstSize)
            {
                _buffer = new byte[FirstSize];
            }
        }
        if (_end < _buffer.Length)
        {
            return;
        }
        var kept = _end - _start;
        // Up to half full: slide; else grow, to at most one line and a read beyond it.
        var target = kept > _buffer.Length / 2 ? new byte[Math.Min(_buffer.Length * 2L, Limit + (long)FirstSize)] : _buffer;
        Buffer.BlockCopy(_buffer, _start, target, 0, kept);
        _scanned -= _start;
        _start = 0;
        _end = kept;
        _buffer = target;
    }
}
