using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Mgmt.Qrexec;

/// <summary>
/// A call that came on an agent's control channel. Accepted, it gets a data channel, on which the guest is the server and the host its client; the port is free again when the agent says so.
/// </summary>
internal sealed class VchanCall : GuestCall, IDataEvents, IAsyncDisposable
{
    private readonly AgentLink _link;
    private readonly long _connection;
    private readonly Pipe _input;
    private readonly CancellationTokenSource _gone = new();
    private PortUse? _use;
    private Stream? _stream;
    private PortOutput? _output;
    private Task _reading = Task.CompletedTask;
    private int _version;
    private bool _inputEnded;
    private bool _hasNew;
    private bool _isFinished;
    private volatile bool _isClosed;

    internal VchanCall(AgentLink link, TriggerService request, long connection)
    {
        (_link, Request, _connection) = (link, request, connection);
        _input = new Pipe(new PipeOptions(pauseWriterThreshold: link.Limits.InputBytes, resumeWriterThreshold: link.Limits.InputBytes / 2, useSynchronizationContext: false));
    }

    public override TriggerService Request { get; }

    public override string Transport => "vchan-socket";

    public override PipeReader Input => _input.Reader;

    public override CancellationToken Gone => _gone.Token;

    private CallIdent Ident => Request.Ident!.Value;

    public override async ValueTask RefuseAsync(CancellationToken cancellation) => await AnswerAsync(Bytes(output => ExecParameters.WriteRefused(output, Ident)), cancellation);

    public override async ValueTask AcceptAsync(CancellationToken cancellation)
    {
        if (_link.Ports.Take(isCommand: false) is not { } use)
        {
            await RefuseAsync(cancellation);
            throw new OperationCanceledException("all data channels of the guest are taken");
        }
        _use = use;
        // Once, and never a refusal after it: the agent uses the same ident for its next call.
        await AnswerAsync(Bytes(output => ExecParameters.WriteConnect(output, 0, use.Port, Ident)), cancellation);
        using var late = new CancellationTokenSource(_link.Limits.Dial, _link.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        _stream = await _link.Directory.DialAsync(_link.Domain, use.Port, either.Token);
        _output = new PortOutput(_stream, _link.Limits.Write, _link.Clock);
        await GreetAsync(new DataProtocol(this, isService: true), cancellation);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation) =>
        SendAsync(to => DataWriter.Write(to, MessageType.DataStdout, output.Span, DataProtocol.MaxBody(_version)), output.Length, cancellation);

    public override ValueTask WriteErrorAsync(ReadOnlyMemory<byte> output, CancellationToken cancellation) =>
        SendAsync(to => DataWriter.Write(to, MessageType.DataStderr, output.Span, DataProtocol.MaxBody(_version)), output.Length, cancellation);

    public override async ValueTask EndAsync(ReadOnlyMemory<byte> output, int exitCode, CancellationToken cancellation)
    {
        await SendAsync(to =>
        {
            DataWriter.Write(to, MessageType.DataStdout, output.Span, DataProtocol.MaxBody(_version));
            DataWriter.WriteEnd(to, MessageType.DataStdout);
            if (HasErrors)
            {
                DataWriter.WriteEnd(to, MessageType.DataStderr);
            }
            DataWriter.WriteExitCode(to, exitCode);
        }, output.Length, cancellation);
        Volatile.Write(ref _isFinished, true);
    }

    void IDataEvents.Greeted(int version) => _version = version;

    void IDataEvents.Received(MessageType stream, ReadOnlySpan<byte> bytes)
    {
        // Served to its end, it may go on to send for as long as it likes.
        if (!_isClosed)
        {
            _input.Writer.Write(bytes);
            CountInput(bytes.Length);
            _hasNew = true;
        }
    }

    void IDataEvents.Ended(MessageType stream) => _inputEnded = true;

    void IDataEvents.Exited(int code)
    {
        // A caller has no exit code.
    }

    /// <summary>
    /// After the exit code the guest closes first: a socket that is closed with bytes unread takes back what the peer has not read yet. A guest that does not close is not waited for long.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        _isClosed = true;
        _input.Reader.Complete();
        if (_stream is { } stream)
        {
            if (Volatile.Read(ref _isFinished) && stream is NetworkStream { Socket: var socket } && socket.Connected)
            {
                socket.Shutdown(SocketShutdown.Send);
                await Task.WhenAny(_reading, Task.Delay(_link.Limits.Drain, _link.Clock));
            }
            _gone.Cancel();
            await stream.DisposeAsync();
            await _reading;
        }
        if (_use is { } use)
        {
            _link.Ports.Ended(use);
        }
    }

    private async Task GreetAsync(DataProtocol data, CancellationToken cancellation)
    {
        var block = new byte[64 * 1024];
        using var silent = new CancellationTokenSource(_link.Limits.Hello, _link.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silent.Token, cancellation);
        try
        {
            while (_version == 0)
            {
                await FeedAsync(data, block, either.Token);
            }
        }
        catch (Exception error) when (error is IOException or QrexecProtocolException)
        {
            throw new OperationCanceledException(error.Message, error);
        }
        _reading = Task.Run(() => ReadAsync(data, block), CancellationToken.None);
        await SendAsync(to =>
        {
            new Hello(Hello.Newest).Write(to);
            if (!HasErrors)
            {
                DataWriter.WriteEnd(to, MessageType.DataStderr);
            }
        }, 0, cancellation);
    }

    /// <summary>Reads until the guest closes; what nobody wants any more is thrown away.</summary>
    private async Task ReadAsync(DataProtocol data, byte[] block)
    {
        try
        {
            while (true)
            {
                if (_hasNew)
                {
                    _hasNew = false;
                    await _input.Writer.FlushAsync(Gone);
                }
                if (_inputEnded)
                {
                    _inputEnded = false;
                    await _input.Writer.CompleteAsync();
                }
                await FeedAsync(data, block, Gone);
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException or QrexecProtocolException or ObjectDisposedException or SocketException)
        {
            _gone.Cancel();
        }
    }

    private async Task FeedAsync(DataProtocol data, byte[] block, CancellationToken cancellation)
    {
        var read = await _stream!.ReadAsync(block, cancellation);
        data.Feed(read > 0 ? block.AsSpan(0, read) : throw new IOException("the caller closed its channel"));
    }

    private async ValueTask AnswerAsync(ReadOnlyMemory<byte> answer, CancellationToken cancellation)
    {
        try
        {
            if (await _link.AnswerAsync(Ident, answer, _connection, cancellation))
            {
                return;
            }
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            throw new OperationCanceledException(error.Message, error);
        }
        throw new OperationCanceledException("the agent is gone");
    }

    private async ValueTask SendAsync(Action<ArrayBufferWriter<byte>> write, int outputBytes, CancellationToken cancellation)
    {
        var message = Bytes(write);
        if (message.IsEmpty)
        {
            return;
        }
        using var either = CancellationTokenSource.CreateLinkedTokenSource(Gone, cancellation);
        try
        {
            await _output!.WriteAsync(message, () => true, either.Token);
            CountOutput(outputBytes);
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            _gone.Cancel();
            throw new OperationCanceledException(error.Message, error);
        }
    }

    private static ReadOnlyMemory<byte> Bytes(Action<ArrayBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>(256);
        write(output);
        return output.WrittenMemory;
    }
}
