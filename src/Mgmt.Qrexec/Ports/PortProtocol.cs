namespace Mgmt.Qrexec;

/// <summary>
/// The host's end of a port that guests call on, as a machine without input and output of its own: bytes in, events out.
/// <code>
/// idle --mark--> nonce --16 bytes--> hello --HELLO--> trigger --TRIGGER_SERVICE3, 4--> input --empty DATA_STDIN--> ended
/// </code>
/// A mark leads from everywhere to nonce, anything unexpected to idle. SOURCE: docs/guest-channels.md, "States of the host's end".
/// </summary>
public sealed class PortProtocol : IMessageSink
{
    /// <summary>The oldest version spoken on a port.</summary>
    public const int OldestVersion = 3;

    private readonly IPortEvents _events;
    private readonly MessageReader _messages;
    private readonly byte[] _nonce = new byte[PortMark.NonceSize];
    private MarkScanner _marks;
    private int _nonceLength;
    private State _state;

    /// <summary>Tells <paramref name="events"/>.</summary>
    public PortProtocol(IPortEvents events)
    {
        _events = events;
        _messages = new MessageReader(this);
    }

    private enum State
    {
        Idle,
        Nonce,
        Hello,
        Trigger,
        Input,
        Ended,
    }

    /// <summary>Bytes thrown away since the last mark.</summary>
    public long SkippedBytes { get; private set; }

    /// <summary>Takes what the guest sent.</summary>
    public void Feed(ReadOnlySpan<byte> bytes)
    {
        while (_marks.Find(bytes) is var end and >= 0)
        {
            Take(bytes[..Math.Max(0, end - PortMark.Size)]);
            Begin();
            bytes = bytes[end..];
        }
        Take(bytes);
    }

    /// <summary>Forgets what was thrown away so far.</summary>
    public void ForgetSkipped() => SkippedBytes = 0;

    void IMessageSink.Begin(MessageHeader header)
    {
        var expected = _state switch
        {
            State.Hello => header.Type == MessageType.Hello,
            State.Trigger => header.Type is MessageType.TriggerService3 or MessageType.TriggerService4,
            State.Input => header.Type == MessageType.DataStdin,
            _ => false,
        };
        if (!expected)
        {
            throw new QrexecProtocolException($"message 0x{(uint)header.Type:x} in state {_state}");
        }
        if (_state == State.Input && header.Length == 0)
        {
            _state = State.Ended;
            _events.InputEnded();
        }
    }

    void IMessageSink.Data(MessageType type, ReadOnlySpan<byte> part) => _events.Input(part);

    void IMessageSink.Whole(MessageType type, ReadOnlySpan<byte> body)
    {
        if (type == MessageType.Hello)
        {
            var version = Hello.Parse(body).Agreed;
            _messages.Version = version >= OldestVersion ? version : throw new QrexecProtocolException($"version {version} on a port");
            _state = State.Trigger;
            return;
        }
        var request = TriggerService.Parse(type, body);
        _state = State.Input;
        _events.Called(request);
    }

    private void Begin()
    {
        SkippedBytes = 0;
        _nonceLength = 0;
        _state = State.Nonce;
        _events.Marked();
    }

    private void Take(ReadOnlySpan<byte> bytes)
    {
        if (_state == State.Nonce)
        {
            bytes = TakeNonce(bytes);
        }
        if (_state is State.Idle or State.Nonce)
        {
            SkippedBytes += bytes.Length;
            return;
        }
        try
        {
            _messages.Feed(bytes);
        }
        catch (QrexecProtocolException breach)
        {
            _state = State.Idle;
            _events.Broken(breach.Message);
        }
    }

    private ReadOnlySpan<byte> TakeNonce(ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, PortMark.NonceSize - _nonceLength);
        bytes[..taken].CopyTo(_nonce.AsSpan(_nonceLength));
        _nonceLength += taken;
        if (_nonceLength == PortMark.NonceSize)
        {
            var nonce = PortNonce.Read(_nonce);
            _messages.Reset();
            _state = nonce.IsNone ? State.Idle : State.Hello;
            if (!nonce.IsNone)
            {
                _events.Opened(nonce);
            }
        }
        return bytes[taken..];
    }
}
