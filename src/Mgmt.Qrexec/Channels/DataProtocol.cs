using System.Buffers.Binary;

namespace Mgmt.Qrexec;

/// <summary>
/// The host's end of a data channel, as a machine without input and output of its own.
/// <code>
/// hello --HELLO--> open
/// service side: DATA_STDIN (DATA_STDOUT is taken for it, as by the C implementation) until its empty one; DATA_STDERR and DATA_EXIT_CODE mean nothing
/// client side:  DATA_STDOUT, DATA_STDERR, each until its empty one; DATA_EXIT_CODE is the last message
/// </code>
/// SOURCE: qrexec protocol, versions 2 to 4.
/// </summary>
public sealed class DataProtocol : IMessageSink
{
    private readonly IDataEvents _events;
    private readonly bool _isService;
    private readonly MessageReader _messages;
    private readonly HashSet<MessageType> _ended = [];
    private bool _isOpen;
    private bool _isOver;

    /// <summary>Tells <paramref name="events"/>. Service side: the guest called; client side: the host did.</summary>
    public DataProtocol(IDataEvents events, bool isService)
    {
        _events = events;
        _isService = isService;
        _messages = new MessageReader(this);
    }

    /// <summary>The longest body of data in a version.</summary>
    public static int MaxBody(int version) => (int)(version < 3 ? MessageHeader.MaxDataLengthV2 : MessageHeader.MaxDataLength);

    /// <summary>Takes what the peer sent. ERRORS: QrexecProtocolException; the channel is then to be closed.</summary>
    public void Feed(ReadOnlySpan<byte> bytes) => _messages.Feed(bytes);

    void IMessageSink.Begin(MessageHeader header)
    {
        if (_isOver || _isOpen == (header.Type == MessageType.Hello) || !MayCome(header.Type))
        {
            throw new QrexecProtocolException($"message 0x{(uint)header.Type:x} {(_isOver ? "after the exit code" : _isOpen ? "on a data channel" : "before HELLO")}");
        }
        if (Stream(header.Type) is not { } stream)
        {
            return;
        }
        if (_ended.Contains(stream))
        {
            throw new QrexecProtocolException($"{stream} after its end");
        }
        if (header.Length == 0)
        {
            _ended.Add(stream);
            _events.Ended(stream);
        }
    }

    void IMessageSink.Data(MessageType type, ReadOnlySpan<byte> part)
    {
        if (Stream(type) is { } stream)
        {
            _events.Received(stream, part);
        }
    }

    void IMessageSink.Whole(MessageType type, ReadOnlySpan<byte> body)
    {
        if (type == MessageType.Hello)
        {
            _messages.Version = Hello.Parse(body).Agreed;
            _isOpen = true;
            _events.Greeted(_messages.Version);
        }
        else if (!_isService)
        {
            _isOver = true;
            _events.Exited(BinaryPrimitives.ReadInt32LittleEndian(body));
        }
    }

    private bool MayCome(MessageType type) => type is MessageType.Hello or MessageType.DataStdout or MessageType.DataStderr or MessageType.DataExitCode
        || (type == MessageType.DataStdin && _isService);

    /// <summary>The stream that a message belongs to; null when it says nothing here.</summary>
    private MessageType? Stream(MessageType type) => type switch
    {
        MessageType.DataStdin or MessageType.DataStdout when _isService => MessageType.DataStdin,
        MessageType.DataStdout or MessageType.DataStderr when !_isService => type,
        _ => null,
    };
}
