namespace Mgmt.Qrexec;

/// <summary>
/// The host's end of an agent's control channel (what qrexec-daemon is on Xen), as a machine without input and output of its own.
/// <code>
/// hello --HELLO 2, 3, 4--> open     open takes TRIGGER_SERVICE of the version agreed on, and CONNECTION_TERMINATED, in any order
/// </code>
/// SOURCE: qrexec protocol, versions 2 to 4.
/// </summary>
public sealed class ControlProtocol : IMessageSink
{
    private readonly IControlEvents _events;
    private readonly MessageReader _messages;
    private bool _isOpen;

    /// <summary>Tells <paramref name="events"/>.</summary>
    public ControlProtocol(IControlEvents events)
    {
        _events = events;
        _messages = new MessageReader(this);
    }

    /// <summary>One that goes on after a HELLO that somebody else has read; <paramref name="unfinished"/> is the beginning of the next message.</summary>
    internal ControlProtocol(IControlEvents events, int version, ReadOnlySpan<byte> unfinished) : this(events)
    {
        _messages.Version = version;
        _isOpen = true;
        _messages.Feed(unfinished);
    }

    /// <summary>The beginning of a message whose end has not come.</summary>
    internal ReadOnlyMemory<byte> Unfinished() => _messages.Unfinished();

    /// <summary>Takes what the agent sent. ERRORS: QrexecProtocolException; the channel is then to be closed.</summary>
    public void Feed(ReadOnlySpan<byte> bytes) => _messages.Feed(bytes);

    void IMessageSink.Begin(MessageHeader header)
    {
        var expected = _isOpen
            ? header.Type is MessageType.TriggerService or MessageType.TriggerService3 or MessageType.TriggerService4 or MessageType.ConnectionTerminated
            : header.Type == MessageType.Hello;
        if (!expected)
        {
            throw new QrexecProtocolException($"message 0x{(uint)header.Type:x} {(_isOpen ? "on a control channel" : "before HELLO")}");
        }
    }

    void IMessageSink.Data(MessageType type, ReadOnlySpan<byte> part) => throw new QrexecProtocolException("data on a control channel");

    void IMessageSink.Whole(MessageType type, ReadOnlySpan<byte> body)
    {
        switch (type)
        {
            case MessageType.Hello:
                _messages.Version = Hello.Parse(body).Agreed;
                _isOpen = true;
                _events.Greeted(_messages.Version);
                break;
            case MessageType.ConnectionTerminated:
                var (domain, port) = ExecParameters.ParseTerminated(body);
                _events.Terminated(domain, DataPorts.Contains(port) ? port : throw new QrexecProtocolException($"CONNECTION_TERMINATED of port {port}"));
                break;
            default:
                _events.Called(TriggerService.Parse(type, body));
                break;
        }
    }
}
