using System.Buffers;
using System.Net.Sockets;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Daemon;

/// <summary>Writes events to a subscriber, gathered until the stream says flush. A subscriber that takes nothing for the deadline is gone.</summary>
internal sealed class SocketEventSink(PeerSocket socket) : IEventSink
{
    private const int FlushAtBytes = 64 * 1024;
    private readonly ArrayBufferWriter<byte> _pending = new(1024);

    internal static TimeSpan SendDeadline { get; } = TimeSpan.FromSeconds(30);

    public ValueTask SendAsync(MgmtEvent happened, EventCursor? cursor, CancellationToken cancellation)
    {
        if (cursor is { } position)
        {
            ReplyWriter.WriteEvent(_pending, happened, [new("cursor", position.ToString())]);
        }
        else
        {
            ReplyWriter.WriteEvent(_pending, happened, []);
        }
        return _pending.WrittenCount >= FlushAtBytes ? FlushAsync(cancellation) : ValueTask.CompletedTask;
    }

    public async ValueTask FlushAsync(CancellationToken cancellation)
    {
        if (_pending.WrittenCount == 0)
        {
            return;
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(SendDeadline);
        try
        {
            await socket.SendAsync(_pending.WrittenMemory, limit.Token);
        }
        catch (SocketException error)
        {
            throw new OperationCanceledException("the subscriber went away", error);
        }
        _pending.ResetWrittenCount();
    }
}
