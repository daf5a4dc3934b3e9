using System.Net.Sockets;

namespace Mgmt.Daemon;

/// <summary>A connection of which the service manager has a copy: disposing closes ours and no more. A NetworkStream that owns its socket would shut the connection down, the copy's too.</summary>
internal sealed class KeptStream(Socket socket) : NetworkStream(socket, ownsSocket: false)
{
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            Socket.Dispose();
        }
    }
}
