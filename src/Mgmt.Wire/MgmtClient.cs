using System.Buffers;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>
/// The client's side: one connection per call. Holds no connection between calls and may be used by many at once. SOURCE: docs/wire.md.
/// </summary>
public sealed partial class MgmtClient(ICallTransport transport)
{
    private const int ChunkBytes = 64 * 1024;

    /// <summary>The client of the daemon whose socket this is.</summary>
    public MgmtClient(string socketPath)
        : this(new SocketTransport(socketPath))
    {
    }

    /// <summary>Whether a call names who makes it.</summary>
    public bool NamesSource => transport.NamesSource;

    /// <summary>The longest wait for the daemon to take the connection.</summary>
    public TimeSpan ConnectDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest wait for the next bytes of a reply, or for the daemon to take more of a payload.</summary>
    public TimeSpan IdleDeadline { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>The longest reply in bytes that is read.</summary>
    public int MaxReplyBytes { get; init; } = 64 << 20;

    /// <summary>Where the deadlines' time comes from.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// Makes a call with a payload in memory. A refusal is a <see cref="Reply.Failure"/>, not an exception.
    /// ERRORS: MgmtUnavailableError (nobody there), MgmtTimeoutError, ProtocolError (no proper reply, a header that cannot be sent).
    /// </summary>
    public Task<Reply> CallAsync(RequestHeader header, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        CallAsync(header, payload, Stream.Null, null, cancellationToken);

    /// <summary>
    /// As above with a payload read from a stream to its end, such as a disk image. <paramref name="progress"/> is told
    /// the bytes of the payload sent so far. A daemon that answers before it took everything ends the sending.
    /// </summary>
    public Task<Reply> CallAsync(RequestHeader header, Stream payload, IProgress<long>? progress, CancellationToken cancellationToken) =>
        CallAsync(header, ReadOnlyMemory<byte>.Empty, payload, progress, cancellationToken);

    /// <summary>As above with bytes before the stream's, such as the first line of ImportWithSize. Progress counts the stream's only.</summary>
    public async Task<Reply> CallAsync(RequestHeader header, ReadOnlyMemory<byte> first, Stream stream, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        using var connection = await ConnectAsync(header, cancellationToken);
        using var deadline = new IdleTimer(IdleDeadline, Time, cancellationToken);
        return await deadline.Guard(async () =>
        {
            await SendAsync(connection, first, stream, progress, deadline);
            return ReplyParser.Parse(await ReadToEndAsync(connection, ReadOnlyMemory<byte>.Empty, deadline));
        });
    }

    private async Task<CallConnection> ConnectAsync(RequestHeader header, CancellationToken cancellationToken)
    {
        using var deadline = new IdleTimer(ConnectDeadline, Time, cancellationToken);
        return await deadline.Guard(() => transport.ConnectAsync(header, deadline.Token));
    }

    private static async Task SendAsync(CallConnection connection, ReadOnlyMemory<byte> first, Stream payload, IProgress<long>? progress, IdleTimer deadline)
    {
        var buffer = payload == Stream.Null ? [] : new byte[ChunkBytes];
        var isTaken = await TrySendAllAsync(connection, Join(connection.Head, first), deadline);
        long sent = 0;
        for (int n; isTaken && buffer.Length > 0 && (n = await payload.ReadAsync(buffer, deadline.Token)) > 0;)
        {
            isTaken = await TrySendAllAsync(connection, buffer.AsMemory(0, n), deadline);
            progress?.Report(sent += n);
        }
        connection.EndInput();
    }

    /// <summary>One write, so that a call that is short arrives in one piece.</summary>
    private static ReadOnlyMemory<byte> Join(ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> payload) =>
        head.IsEmpty ? payload : payload.IsEmpty ? head : (byte[])[.. head.Span, .. payload.Span];

    /// <summary>False when the daemon closed before it took everything. It answers before it closes, and that answer says why.</summary>
    private static async Task<bool> TrySendAllAsync(CallConnection connection, ReadOnlyMemory<byte> bytes, IdleTimer deadline)
    {
        try
        {
            while (!bytes.IsEmpty)
            {
                bytes = bytes[await connection.SendAsync(bytes, deadline.Token)..];
                deadline.Restart();
            }
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadToEndAsync(CallConnection connection, ReadOnlyMemory<byte> already, IdleTimer deadline)
    {
        var reply = new ArrayBufferWriter<byte>(4096);
        reply.Write(already.Span);
        while (await ReceiveAsync(connection, reply.GetMemory(4096), deadline) is > 0 and var n)
        {
            reply.Advance(n);
            if (reply.WrittenCount > MaxReplyBytes)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "The reply is longer than this client reads");
            }
        }
        return reply.WrittenMemory;
    }

    /// <summary>Bytes received, 0 at the end. A daemon that closes with bytes of ours unread breaks the connection, after its own bytes.</summary>
    private static async Task<int> ReceiveAsync(CallConnection connection, Memory<byte> buffer, IdleTimer deadline)
    {
        try
        {
            var n = await connection.ReceiveAsync(buffer, deadline.Token);
            deadline.Restart();
            return n;
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
