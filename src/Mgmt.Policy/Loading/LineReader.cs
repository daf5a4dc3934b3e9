using System.Text.Unicode;
using System.Buffers;

namespace Mgmt.Policy;

/// <summary>The lines of a file, ended by LF, CR or CRLF and decoded from UTF-8 one by one, so that every bad line is found.</summary>
internal ref struct LineReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;
    private char[] _characters = new char[256];

    public int Number { get; private set; } = 0;

    /// <summary>Gives the next line; the error is null when the line can be read.</summary>
    public bool TryNext(out ReadOnlySpan<char> line, out RuleError? error)
    {
        line = default;
        error = null;
        if (_rest.IsEmpty)
            return false;
        Number++;
        var end = _rest.IndexOfAny((byte)'\n', (byte)'\r');
        var raw = end < 0 ? _rest : _rest[..end];
        var crlf = end >= 0 && _rest[end] == '\r' && end + 1 < _rest.Length && _rest[end + 1] == '\n';
        _rest = end < 0 ? default : _rest[(end + (crlf ? 2 : 1))..];
        error = Decode(raw, out line);
        return true;
    }

    private RuleError? Decode(ReadOnlySpan<byte> raw, out ReadOnlySpan<char> line)
    {
        line = default;
        if (raw.Length > PolicyLimits.LineBytes)
            return new RuleError(1, $"the line is longer than {PolicyLimits.LineBytes} bytes");
        if (_characters.Length < raw.Length)
            _characters = new char[Math.Max(raw.Length, _characters.Length * 2)];
        var status = Utf8.ToUtf16(raw, _characters, out _, out var written, replaceInvalidSequences: false);
        if (status != OperationStatus.Done)
            return new RuleError(written + 1, "the line is not UTF-8");
        line = _characters.AsSpan(0, written);
        var nul = line.IndexOf('\0');
        return nul < 0 ? null : new RuleError(nul + 1, "the line has a NUL byte");
    }
}
