using System.Buffers;
using System.Runtime.CompilerServices;
using Mgmt.Core;

namespace Mgmt.Wire;

public sealed partial class MgmtClient
{
    /// <summary>
    /// The longest silence on an event stream that carries cursors, where a bookmark comes every 5 s. A stream without
    /// cursors may be silent for as long as nothing happens.
    /// </summary>
    public TimeSpan EventIdleDeadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Opens an event stream and gives its events as they come, the stream's own ones (connection-established, bookmark,
    /// gone, stream-closed) too. It ends when the daemon closes the connection. ERRORS: what the daemon refuses, by its
    /// type; MgmtUnavailableError; MgmtTimeoutError; ProtocolError, also for a stream that ends inside an event.
    /// </summary>
    public async IAsyncEnumerable<MgmtEvent> EventsAsync(RequestHeader header, EventFilter filter, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var connection = await ConnectAsync(header, cancellationToken);
        using var deadline = new IdleTimer(filter.WithCursor ? EventIdleDeadline : Timeout.InfiniteTimeSpan, Time, cancellationToken);
        await deadline.Guard(async () =>
        {
            await SendAsync(connection, filter.ToBytes(), Stream.Null, null, deadline);
            return true;
        });
        var buffer = new byte[ChunkBytes];
        int filled = 0, n;
        var first = true;
        while ((n = await deadline.Guard(() => ReceiveAsync(connection, buffer.AsMemory(filled), deadline))) > 0)
        {
            filled += n;
            if (first && buffer[0] != (byte)'1')
            {
                throw await RefusalAsync(connection, buffer.AsMemory(0, filled), deadline);
            }
            first = false;
            var rest = new ReadOnlySequence<byte>(buffer, 0, filled);
            while (EventReader.TryRead(ref rest, out var value))
            {
                yield return value;
            }
            filled = Compact(ref buffer, rest);
        }
        if (first || filled > 0)
        {
            throw new MgmtException(ErrorCode.ProtocolError, first ? "Empty reply: the daemon closed the connection without an answer" : "Event stream: it ends inside an event");
        }
    }

    private async Task<MgmtException> RefusalAsync(CallConnection connection, ReadOnlyMemory<byte> already, IdleTimer deadline) =>
        await deadline.Guard(async () => ReplyParser.Parse(await ReadToEndAsync(connection, already, deadline))) is Reply.Failure failure
            ? failure.ToException()
            : new MgmtException(ErrorCode.ProtocolError, "The daemon answers with one reply, not with an event stream");

    /// <summary>Moves what is left to the front and makes room for more; gives how much is left.</summary>
    private static int Compact(ref byte[] buffer, ReadOnlySequence<byte> rest)
    {
        var left = (int)rest.Length;
        if (left == buffer.Length)
        {
            // Bounded: EventReader refuses events longer than its limit.
            Array.Resize(ref buffer, buffer.Length * 2);
        }
        else
        {
            rest.FirstSpan.CopyTo(buffer);
        }
        return left;
    }
}
