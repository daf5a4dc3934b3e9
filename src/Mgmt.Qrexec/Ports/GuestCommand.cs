using System.Buffers;

namespace Mgmt.Qrexec;

/// <summary>
/// Has an agent in a guest run something, over one of its ports: preamble, HELLO, the command; then its streams and its exit code. SHAPE of a command: <c>USER:COMMAND</c> or
/// <c>USER:QUBESRPC SERVICE+ARGUMENT SOURCE</c>. SOURCE: docs/guest-channels.md, "Agent ports".
/// </summary>
public sealed class GuestCommand : IDataEvents
{
    private readonly Stream _port;
    private readonly PortNonce _nonce = PortNonce.New();
    private readonly DataProtocol _data;
    private readonly byte[] _given = new byte[PortMark.NonceSize];
    private readonly List<(MessageType Stream, byte[] Bytes)> _received = [];
    private MarkScanner _marks;
    private int _givenLength = -1;
    private bool _isAnswered;
    private int? _exitCode;

    private GuestCommand(Stream port)
    {
        _port = port;
        _data = new DataProtocol(this, isService: false);
    }

    /// <summary>
    /// Runs it to its end and gives its exit code. <paramref name="input"/> is its standard input; <paramref name="output"/> takes what it writes, and no bytes at the end of a stream.
    /// A guest that does not answer within <paramref name="deadline"/> has no agent. ERRORS: TimeoutException, IOException, QrexecProtocolException, ArgumentException for a command that cannot be sent.
    /// </summary>
    public static async Task<int> RunAsync(
        Stream port, string command, Stream input, Func<MessageType, ReadOnlyMemory<byte>, CancellationToken, ValueTask> output, TimeSpan deadline, TimeProvider clock, CancellationToken cancellation)
    {
        var run = new GuestCommand(port);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await port.WriteAsync(run.Opening(command), cancellation);
        await run.AnsweredAsync(deadline, clock, cancellation);
        var feeding = run.FeedAsync(input, over.Token);
        try
        {
            while (run._exitCode is null)
            {
                await run.DeliverAsync(output, cancellation);
                if (run._exitCode is null)
                {
                    await run.ReceiveAsync(cancellation);
                }
            }
            await run.DeliverAsync(output, cancellation);
            return run._exitCode.Value;
        }
        finally
        {
            await over.CancelAsync();
            await feeding;
        }
    }

    /// <summary>
    /// Waits until an agent is there: announces that the host has connected, which an agent answers with an announcement of its own, as it makes one when it opens the port. ERRORS: IOException.
    /// </summary>
    public static async Task AwaitAgentAsync(Stream port, CancellationToken cancellation)
    {
        var announcement = new ArrayBufferWriter<byte>(64);
        DataWriter.WritePreamble(announcement, PortNonce.None);
        var expected = announcement.WrittenMemory;
        await port.WriteAsync(expected, cancellation);
        var last = new byte[expected.Length];
        var one = new byte[1];
        while (!last.AsSpan().SequenceEqual(expected.Span))
        {
            if (await port.ReadAsync(one, cancellation) == 0)
            {
                throw new IOException("the VM's process closed the port");
            }
            last.AsSpan(1).CopyTo(last);
            last[^1] = one[0];
        }
    }

    void IDataEvents.Greeted(int version)
    {
        if (version < PortProtocol.OldestVersion)
        {
            throw new QrexecProtocolException($"version {version} on a port");
        }
    }

    void IDataEvents.Received(MessageType stream, ReadOnlySpan<byte> bytes) => _received.Add((stream, bytes.ToArray()));

    void IDataEvents.Ended(MessageType stream) => _received.Add((stream, []));

    void IDataEvents.Exited(int code) => _exitCode = code;

    private ReadOnlyMemory<byte> Opening(string command)
    {
        var opening = new ArrayBufferWriter<byte>(256);
        DataWriter.WritePreamble(opening, _nonce);
        new Hello(Hello.Newest).Write(opening);
        ExecParameters.WriteExec(opening, MessageType.ExecCommandLine, 0, 0, command);
        return opening.WrittenMemory;
    }

    private async Task AnsweredAsync(TimeSpan deadline, TimeProvider clock, CancellationToken cancellation)
    {
        using var late = new CancellationTokenSource(deadline, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            while (!_isAnswered)
            {
                await ReceiveAsync(either.Token);
            }
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException("no agent answers in the guest", error);
        }
    }

    private async Task ReceiveAsync(CancellationToken cancellation)
    {
        var block = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            var read = await _port.ReadAsync(block, cancellation);
            Feed(read > 0 ? block.AsSpan(0, read) : throw new IOException("the VM's process closed the port"));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    private void Feed(ReadOnlySpan<byte> block)
    {
        while (_marks.Find(block) is var end and >= 0)
        {
            Take(block[..Math.Max(0, end - PortMark.Size)]);
            if (_isAnswered && _exitCode is null)
            {
                throw new IOException("the agent in the guest began anew");
            }
            _givenLength = 0;
            block = block[end..];
        }
        Take(block);
    }

    private void Take(ReadOnlySpan<byte> bytes)
    {
        if (!_isAnswered && _givenLength >= 0)
        {
            var taken = Math.Min(bytes.Length, PortMark.NonceSize - _givenLength);
            bytes[..taken].CopyTo(_given.AsSpan(_givenLength));
            _givenLength += taken;
            bytes = bytes[taken..];
            if (_givenLength == PortMark.NonceSize)
            {
                // Another one is of an earlier conversation, or an announcement from before it knew of this one.
                _isAnswered = PortNonce.Read(_given) == _nonce;
                _givenLength = -1;
            }
        }
        if (_isAnswered && _exitCode is null)
        {
            FeedData(bytes);
        }
    }

    private void FeedData(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _data.Feed(bytes);
        }
        catch (QrexecProtocolException) when (_exitCode is not null)
        {
            // It has ended; what comes behind that, in the same block or in a later one, counts for nothing.
        }
    }

    private async Task DeliverAsync(Func<MessageType, ReadOnlyMemory<byte>, CancellationToken, ValueTask> output, CancellationToken cancellation)
    {
        foreach (var (stream, bytes) in _received)
        {
            await output(stream, bytes, cancellation);
        }
        _received.Clear();
    }

    /// <summary>Its input until the end of it or of the command.</summary>
    private async Task FeedAsync(Stream input, CancellationToken over)
    {
        var message = new ArrayBufferWriter<byte>();
        var block = new byte[32 * 1024];
        try
        {
            int read;
            do
            {
                read = await input.ReadAsync(block, over);
                message.ResetWrittenCount();
                DataWriter.Write(message, MessageType.DataStdin, block.AsSpan(0, read), (int)MessageHeader.MaxDataLength);
                if (read == 0)
                {
                    DataWriter.WriteEnd(message, MessageType.DataStdin);
                }
                await _port.WriteAsync(message.WrittenMemory, over);
            }
            while (read > 0);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The command has ended, or the reading side tells what happened.
        }
    }
}
