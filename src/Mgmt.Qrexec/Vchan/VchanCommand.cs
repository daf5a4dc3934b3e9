using System.Buffers;
using System.Text;
using Mgmt.Core;

namespace Mgmt.Qrexec;

/// <summary>
/// Has an agent on vchan sockets run something. The host listens on a data port, asks for the command on the control channel, and the agent connects; then HELLO both ways, the streams and the exit
/// code. SHAPE of a command: <c>USER:COMMAND</c> or <c>USER:QUBESRPC SERVICE+ARGUMENT SOURCE</c>. SOURCE: qrexec protocol, versions 2 to 4; docs/guest-channels.md, "Vchan sockets".
/// </summary>
public sealed class VchanCommand : IAsyncDisposable
{
    /// <summary>
    /// The longest body of a message to an agent where it reads into a ring of one page, as it does on its control channel and where it is the client: it waits for the whole body to be in
    /// the ring, so that a longer one would never be read. SOURCE: qubes-core-vchan-socket 4.1.
    /// </summary>
    public const int MaxBody = 4096;

    private readonly AgentLink _link;
    private readonly PortUse _use;
    private readonly ReadOnlyMemory<byte> _request;
    private readonly RemoteCommand _command = new((int)Hello.Oldest);
    private VchanListener? _listener;
    private Stream? _stream;
    private bool _wasSent;
    private bool _isDisposed;

    internal VchanCommand(AgentLink link, PortUse use, MessageType type, string command)
    {
        (_link, _use) = (link, use);
        var request = new ArrayBufferWriter<byte>(256);
        ExecParameters.WriteExec(request, type, 0, use.Port, command);
        _request = request.WrittenMemory;
    }

    /// <summary>
    /// Runs it to its end and gives its exit code. <paramref name="input"/> is its standard input; <paramref name="output"/> takes what it writes, and no bytes at the end of a stream.
    /// ERRORS: TimeoutException when the agent does not connect or greet in time; IOException; QrexecProtocolException.
    /// </summary>
    public async Task<int> RunAsync(Stream input, Func<MessageType, ReadOnlyMemory<byte>, CancellationToken, ValueTask> output, CancellationToken cancellation)
    {
        _listener = _link.Directory.Listen(_link.Domain, _use.Port);
        _wasSent = await _link.SendAsync(_request, _use.Connection, cancellation);
        if (!_wasSent)
        {
            throw new IOException("the agent is gone");
        }
        _stream = await InTimeAsync(_listener.AcceptAsync, _link.Limits.Connect, "the agent does not connect", cancellation);
        var block = new byte[64 * 1024];
        await GreetAsync(_stream, block, cancellation);
        return await _command.RunAsync(_stream, input, MaxBody, output, token => ReceiveAsync(_stream, block, token), cancellation);
    }

    /// <summary>
    /// Ends it. An agent that was asked and has not connected yet tries to for as long as it takes, and only then says that the port is free: so it is let in, to be told that it is over.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }
        _isDisposed = true;
        if (_stream is not null)
        {
            await _stream.DisposeAsync();
            _link.Ports.Ended(_use);
        }
        else if (_wasSent)
        {
            _link.Follow(TurnAwayAsync);
        }
        else
        {
            _listener?.Dispose();
            _link.Ports.Return(_use);
        }
    }

    /// <summary>Whether an agent can read it. SHAPE: the command without its NUL.</summary>
    internal static void Check(string command)
    {
        if (ExecParameters.FixedSize + Encoding.UTF8.GetByteCount(command) + 1 > MaxBody || command.Contains('\0', StringComparison.Ordinal))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "A command for an agent on vchan sockets has at most %s bytes and no NUL", (MaxBody - ExecParameters.FixedSize - 1).ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    private async Task GreetAsync(Stream stream, byte[] block, CancellationToken cancellation)
    {
        var hello = new ArrayBufferWriter<byte>(16);
        new Hello(Hello.Newest).Write(hello);
        await stream.WriteAsync(hello.WrittenMemory, cancellation);
        await InTimeAsync(async token =>
        {
            while (_command.Version == 0)
            {
                await ReceiveAsync(stream, block, token);
            }
            return true;
        }, _link.Limits.Hello, "the agent does not say HELLO", cancellation);
    }

    private async Task ReceiveAsync(Stream stream, byte[] block, CancellationToken cancellation)
    {
        var read = await stream.ReadAsync(block, cancellation);
        _command.Feed(read > 0 ? block.AsSpan(0, read) : throw new IOException("the agent closed the data channel before the exit code"));
    }

    private async Task TurnAwayAsync(CancellationToken stopping)
    {
        try
        {
            await using var late = await InTimeAsync(_listener!.AcceptAsync, _link.Limits.Connect, "", stopping);
        }
        catch (Exception error) when (error is TimeoutException or IOException or OperationCanceledException)
        {
            // It never came.
        }
        finally
        {
            _listener!.Dispose();
            _link.Ports.Ended(_use);
        }
    }

    private async Task<T> InTimeAsync<T>(Func<CancellationToken, Task<T>> wait, TimeSpan limit, string otherwise, CancellationToken cancellation)
    {
        using var late = new CancellationTokenSource(limit, _link.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            return await wait(either.Token);
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException(otherwise, error);
        }
    }
}
