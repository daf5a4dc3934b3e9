using System.Buffers;

namespace Mgmt.Qrexec;

/// <summary>
/// A command that runs in a guest, whichever way its bytes go: takes its input to it, gives out what it writes, has its exit code. Whoever has the channel reads it and feeds what came.
/// </summary>
internal sealed class RemoteCommand : IDataEvents
{
    private const int BlockBytes = 32 * 1024;
    private readonly DataProtocol _data;
    private readonly int _oldestVersion;
    private readonly List<(MessageType Stream, byte[] Bytes)> _received = [];

    /// <summary>One whose agent has to speak at least that version.</summary>
    internal RemoteCommand(int oldestVersion)
    {
        _oldestVersion = oldestVersion;
        _data = new DataProtocol(this, isService: false);
    }

    /// <summary>What both speak; 0 before the agent's HELLO.</summary>
    internal int Version { get; private set; }

    /// <summary>How it ended; null: it has not.</summary>
    internal int? ExitCode { get; private set; }

    void IDataEvents.Greeted(int version) => Version = version >= _oldestVersion ? version : throw new QrexecProtocolException($"version {version}; here {_oldestVersion} is the oldest");

    void IDataEvents.Received(MessageType stream, ReadOnlySpan<byte> bytes) => _received.Add((stream, bytes.ToArray()));

    void IDataEvents.Ended(MessageType stream) => _received.Add((stream, []));

    void IDataEvents.Exited(int code) => ExitCode = code;

    /// <summary>Takes what came on the channel. ERRORS: QrexecProtocolException.</summary>
    internal void Feed(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _data.Feed(bytes);
        }
        catch (QrexecProtocolException) when (ExitCode is not null)
        {
            // It has ended; what comes behind that, in the same block or in a later one, counts for nothing.
        }
    }

    /// <summary>
    /// Runs it to its end and gives its exit code. <paramref name="output"/> takes what it writes, and no bytes at the end of a stream; <paramref name="receive"/> reads the channel once and
    /// feeds what came. No message of input is longer than <paramref name="maxBody"/>. ERRORS: those of the two.
    /// </summary>
    internal async Task<int> RunAsync(
        Stream channel, Stream input, int maxBody, Func<MessageType, ReadOnlyMemory<byte>, CancellationToken, ValueTask> output, Func<CancellationToken, Task> receive, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var feeding = TakeInputAsync(channel, input, maxBody, over.Token);
        try
        {
            await DeliverAsync(output, cancellation);
            while (ExitCode is null)
            {
                await receive(cancellation);
                await DeliverAsync(output, cancellation);
            }
            return ExitCode.Value;
        }
        finally
        {
            await over.CancelAsync();
            await feeding;
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
    private static async Task TakeInputAsync(Stream channel, Stream input, int maxBody, CancellationToken over)
    {
        var message = new ArrayBufferWriter<byte>();
        var block = new byte[BlockBytes];
        try
        {
            int read;
            do
            {
                read = await input.ReadAsync(block, over);
                message.ResetWrittenCount();
                DataWriter.Write(message, MessageType.DataStdin, block.AsSpan(0, read), maxBody);
                if (read == 0)
                {
                    DataWriter.WriteEnd(message, MessageType.DataStdin);
                }
                await channel.WriteAsync(message.WrittenMemory, over);
            }
            while (read > 0);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The command has ended, or the reading side tells what happened.
        }
    }
}
