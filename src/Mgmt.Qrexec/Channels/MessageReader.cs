using System.Buffers;

namespace Mgmt.Qrexec;

/// <summary>What a <see cref="MessageReader"/> found. Each may throw QrexecProtocolException, which ends the reading.</summary>
internal interface IMessageSink
{
    /// <summary>A header, of a length that its type may have; nothing of its body was read yet.</summary>
    void Begin(MessageHeader header);

    /// <summary>A part of a body of data, never empty.</summary>
    void Data(MessageType type, ReadOnlySpan<byte> part);

    /// <summary>The whole body of a message that is no data.</summary>
    void Whole(MessageType type, ReadOnlySpan<byte> body);
}

/// <summary>
/// Cuts a stream into messages, wherever its blocks are cut. Bodies of data are handed on as they come; others are kept until they are whole, which is bounded by
/// what <see cref="MessageHeader.TryRead"/> lets through. SHAPE: type u32, length u32, body.
/// </summary>
internal sealed class MessageReader(IMessageSink sink)
{
    /// <summary>The most that is kept for the next message; a long one must not cost its memory for as long as the channel lasts.</summary>
    private const int KeptBytes = 4096;

    private ArrayBufferWriter<byte> _kept = new(MessageHeader.Size);
    private MessageHeader? _header;
    private uint _left;

    /// <summary>The version agreed on, which decides what types there are and how long they may be.</summary>
    public int Version { get; set; } = (int)Hello.Newest;

    /// <summary>The beginning of a message whose end has not come: what another reader is to be fed first. Not for data, which is handed on.</summary>
    public ReadOnlyMemory<byte> Unfinished()
    {
        var unfinished = new ArrayBufferWriter<byte>();
        _header?.Write(unfinished);
        unfinished.Write(_kept.WrittenSpan);
        return unfinished.WrittenMemory;
    }

    /// <summary>Forgets a message that was not whole, and the version.</summary>
    public void Reset()
    {
        _header = null;
        if (_kept.Capacity > KeptBytes)
        {
            _kept = new(MessageHeader.Size);
        }
        _kept.ResetWrittenCount();
        Version = (int)Hello.Newest;
    }

    /// <summary>Takes bytes. ERRORS: QrexecProtocolException; what follows is not to be fed before <see cref="Reset"/>.</summary>
    public void Feed(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = _header is { } header ? TakeBody(header, bytes) : TakeHeader(bytes);
        }
    }

    private static bool IsData(MessageType type) => type is MessageType.DataStdin or MessageType.DataStdout or MessageType.DataStderr;

    private ReadOnlySpan<byte> TakeHeader(ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, MessageHeader.Size - _kept.WrittenCount);
        _kept.Write(bytes[..taken]);
        if (MessageHeader.TryRead(_kept.WrittenSpan, Version) is { } header)
        {
            _kept.ResetWrittenCount();
            sink.Begin(header);
            _left = header.Length;
            _header = header.Length > 0 ? header : null;
        }
        return bytes[taken..];
    }

    private ReadOnlySpan<byte> TakeBody(MessageHeader header, ReadOnlySpan<byte> bytes)
    {
        var taken = (int)Math.Min((uint)bytes.Length, _left);
        _left -= (uint)taken;
        _header = _left > 0 ? header : null;
        if (IsData(header.Type))
        {
            sink.Data(header.Type, bytes[..taken]);
        }
        else
        {
            Keep(bytes[..taken], header);
        }
        return bytes[taken..];
    }

    private void Keep(ReadOnlySpan<byte> bytes, MessageHeader header)
    {
        _kept.Write(bytes);
        if (_left == 0)
        {
            var body = _kept.WrittenSpan;
            if (_kept.Capacity > KeptBytes)
            {
                _kept = new(MessageHeader.Size);
            }
            // Only the count is reset; the bytes stay until the next message is kept.
            _kept.ResetWrittenCount();
            sink.Whole(header.Type, body);
        }
    }
}
