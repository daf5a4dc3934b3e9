using System.Net.Sockets;
using Mgmt.Api;
using Mgmt.Wire;

namespace Mgmt.Daemon;

/// <summary>Sends a content piece by piece. A caller that takes nothing for the deadline is gone.</summary>
internal sealed class SocketContentSink(PeerSocket socket) : IContentSink
{
    public bool HasBegun { get; private set; }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(SocketEventSink.SendDeadline);
        try
        {
            if (!HasBegun)
            {
                HasBegun = true;
                await socket.SendAsync(ReplyWriter.OkMark, limit.Token);
            }
            await socket.SendAsync(piece, limit.Token);
        }
        catch (SocketException error)
        {
            throw new OperationCanceledException("the caller went away", error);
        }
    }
}
