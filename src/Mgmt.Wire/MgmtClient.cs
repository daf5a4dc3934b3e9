using System.Buffers;
using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>
/// The client's side: one connection per call on the daemon's socket. Holds no connection between calls and may be
/// used by many at once. SOURCE: docs/wire.md.
/// </summary>
public sealed partial class MgmtClient(string socketPath)
{
    private const int ChunkBytes = 64 * 1024;

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
        var head = Head(header, first.Span);
        using var socket = await ConnectAsync(cancellationToken);
        using var deadline = new IdleTimer(IdleDeadline, Time, cancellationToken);
        return await deadline.Guard(async () =>
        {
            await SendAsync(socket, head, stream, progress, deadline);
            return ReplyParser.Parse(await ReadToEndAsync(socket, ReadOnlyMemory<byte>.Empty, deadline));
        });
    }

    private static byte[] Head(RequestHeader header, ReadOnlySpan<byte> payload)
    {
        var output = new ArrayBufferWriter<byte>(256 + payload.Length);
        header.Write(output);
        output.Write(payload);
        return output.WrittenSpan.ToArray();
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            using var deadline = new IdleTimer(ConnectDeadline, Time, cancellationToken);
            await deadline.Guard(async () =>
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), deadline.Token);
                return true;
            });
            return socket;
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            socket.Dispose();
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "Cannot reach the daemon at %s: %s", socketPath,
                error is SocketException reason ? Reason(reason) : "not the path of a socket");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>What the runtime says of a missing file speaks of addresses.</summary>
    private static string Reason(SocketException error) => error.SocketErrorCode switch
    {
        SocketError.AddressNotAvailable => "there is no such socket; is it running?",
        SocketError.ConnectionRefused => "nobody listens there; is it running?",
        SocketError.AccessDenied => "you may not open this socket",
        _ => error.Message,
    };

    private static async Task SendAsync(Socket socket, byte[] head, Stream payload, IProgress<long>? progress, IdleTimer deadline)
    {
        var buffer = payload == Stream.Null ? [] : new byte[ChunkBytes];
        try
        {
            await SendAllAsync(socket, head, deadline);
            long sent = 0;
            for (int n; buffer.Length > 0 && (n = await payload.ReadAsync(buffer, deadline.Token)) > 0;)
            {
                await SendAllAsync(socket, buffer.AsMemory(0, n), deadline);
                progress?.Report(sent += n);
            }
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The daemon closed before it took everything. It answers before it closes, and that answer says why.
        }
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes, IdleTimer deadline)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, deadline.Token)..];
            deadline.Restart();
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadToEndAsync(Socket socket, ReadOnlyMemory<byte> already, IdleTimer deadline)
    {
        var reply = new ArrayBufferWriter<byte>(4096);
        reply.Write(already.Span);
        while (await ReceiveAsync(socket, reply.GetMemory(4096), deadline) is > 0 and var n)
        {
            reply.Advance(n);
            if (reply.WrittenCount > MaxReplyBytes)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "The reply is longer than this client reads");
            }
        }
        return reply.WrittenMemory;
    }

    /// <summary>Bytes received, 0 at the end. A daemon that closes with bytes of ours unread resets the connection, after its own bytes.</summary>
    private static async Task<int> ReceiveAsync(Socket socket, Memory<byte> buffer, IdleTimer deadline)
    {
        try
        {
            var n = await socket.ReceiveAsync(buffer, SocketFlags.None, deadline.Token);
            deadline.Restart();
            return n;
        }
        catch (SocketException error) when (error.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            return 0;
        }
    }
}
