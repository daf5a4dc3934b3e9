using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>Writes the bytes of an OK reply as they come. A reader that takes nothing for the deadline is gone.</summary>
internal sealed class SocketByteSink(PeerSocket socket) : IByteSink
{
    private static readonly byte[] s_ok = [(byte)'0', 0];

    /// <summary>Whether the reply has begun: from then on it ends, and never turns into an exception.</summary>
    internal bool HasBegun { get; private set; }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(SocketEventSink.SendDeadline);
        try
        {
            if (!HasBegun)
            {
                HasBegun = true;
                await socket.SendAsync(s_ok, limit.Token);
            }
            await socket.SendAsync(bytes, limit.Token);
        }
        catch (SocketException error)
        {
            throw new OperationCanceledException("the reader went away", error);
        }
    }
}
