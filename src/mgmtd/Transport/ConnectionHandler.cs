using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Wire;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>One connection, one call: read the header, then the payload as its row says, run it, reply, close. There is always a reply.</summary>
internal sealed class ConnectionHandler(Dispatcher dispatcher, PeerIdentity peers, HangupSweeper sweeper, DaemonSettings settings, ILogger<ConnectionHandler> log)
{
    private static readonly TimeSpan DrainDeadline = TimeSpan.FromSeconds(2);
    private const int DrainLimitBytes = 1 << 20;

    /// <summary>Serves a connection to its end. Never throws.</summary>
    internal async Task ServeAsync(PeerSocket socket, CancellationToken cancellation)
    {
        try
        {
            using var connection = new Connection(socket, settings.RequestDeadline, cancellation);
            var caller = peers.Of(socket);
            await AnswerAsync(connection, caller, cancellation);
            if (!connection.EndReached)
            {
                await DrainAsync(socket);
            }
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            Log.ConnectionLost(log, error.Message);
        }
        catch (Exception error)
        {
            Log.ConnectionFailed(log, error);
        }
        finally
        {
            socket.Dispose();
        }
    }

    /// <summary>Tells a connection that there are too many.</summary>
    internal async Task RefuseAsync(PeerSocket socket)
    {
        try
        {
            await ReplyAsync(socket, new(ErrorCode.MgmtBusyError, "Too many connections; try again later"), false);
        }
        catch (SocketException error)
        {
            Log.ConnectionLost(log, error.Message);
        }
        finally
        {
            socket.Dispose();
        }
    }

    private async Task AnswerAsync(Connection connection, Caller caller, CancellationToken cancellation)
    {
        CallSession? session = null;
        try
        {
            var header = RequestHeader.Parse((await connection.ReadHeaderAsync()).Span);
            session = dispatcher.Open(new(header.Method, header.Argument, header.Source, header.Kind == DestinationKind.Keyword, header.Destination), caller);
            if (!session.StreamsPayload)
            {
                await connection.ReadToEndAsync(session.CapBytes);
            }
        }
        catch (MgmtException error)
        {
            dispatcher.Refused(session, caller, error);
            await ReplyAsync(connection.Socket, error, session is not null && IsAdmin(session));
            return;
        }
        await RunAsync(connection, session, cancellation);
    }

    private async Task RunAsync(Connection connection, CallSession session, CancellationToken cancellation)
    {
        var stream = session.StreamsPayload ? connection.PayloadReader(session.IsInteractive ? Timeout.InfiniteTimeSpan : settings.RequestDeadline) : null;
        var sink = session.IsStream ? new SocketEventSink(connection.Socket) : null;
        var output = session.StreamsContent ? new SocketContentSink(connection.Socket) : null;
        using var gone = new CancellationTokenSource();
        var running = dispatcher.RunAsync(session, new(connection.Payload, stream, sink, connection.Socket.HasHungUp) { Output = output }, gone.Token);
        CallResult result;
        if (running.IsCompleted)
        {
            result = await running;
        }
        else
        {
            // Only here, off the path of calls that are answered at once: all calls share the daemon's token, and its list of listeners has a lock.
            // A reader that is gone is noticed only by asking; what may be cancelled then is, what has begun to change something is not.
            using (sweeper.Watch(connection.Socket, gone))
            using (cancellation.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), gone))
            {
                result = await running;
            }
        }
        if (result.IsStreamEnd || output is { HasBegun: true })
        {
            return;
        }
        if (result.Error is { } error)
        {
            await ReplyAsync(connection.Socket, error, IsAdmin(session));
            return;
        }
        await SendOkAsync(connection, result.Content);
    }

    private static ValueTask SendOkAsync(Connection connection, ReadOnlyMemory<byte> content)
    {
        var output = connection.ReplyBuffer;
        ReplyWriter.WriteOk(output, content.Span);
        // Most replies fit into the socket's buffer; only one that does not needs a deadline.
        var sent = Math.Max(0, connection.Socket.SendNow(output.WrittenSpan));
        return sent == output.WrittenCount ? ValueTask.CompletedTask : SendRestAsync(connection.Socket, output.WrittenMemory[sent..]);
    }

    private static async ValueTask SendRestAsync(PeerSocket socket, ReadOnlyMemory<byte> rest)
    {
        using var limit = new CancellationTokenSource(SocketEventSink.SendDeadline);
        await socket.SendAsync(rest, limit.Token);
    }

    private async Task ReplyAsync(PeerSocket socket, MgmtException error, bool admin)
    {
        var output = new ArrayBufferWriter<byte>(256);
        ReplyWriter.WriteException(output, error, settings.Debug ? error.ToString() : "", admin);
        using var limit = new CancellationTokenSource(SocketEventSink.SendDeadline);
        await socket.SendAsync(output.WrittenMemory, limit.Token);
    }

    private static bool IsAdmin(CallSession session) => session.Request.Method.StartsWith("admin.", StringComparison.Ordinal);

    /// <summary>A socket closed with unread bytes resets the peer, which then may lose the reply: read what is left, within limits.</summary>
    private static async Task DrainAsync(PeerSocket socket)
    {
        socket.EndSending();
        var buffer = ArrayPool<byte>.Shared.Rent(4096);
        try
        {
            using var limit = new CancellationTokenSource(DrainDeadline);
            for (var total = 0; total < DrainLimitBytes;)
            {
                var read = await socket.ReceiveAsync(buffer.AsMemory(), limit.Token);
                if (read == 0)
                {
                    return;
                }
                total += read;
            }
        }
        catch (OperationCanceledException)
        {
            // The peer neither reads nor closes: it had its reply.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
