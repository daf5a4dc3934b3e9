using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Wire;

/// <summary>The daemon's socket: a connection for each call. SOURCE: docs/wire.md, "Transport".</summary>
public sealed class SocketTransport(string path) : ICallTransport
{
    /// <summary>Where the socket is.</summary>
    public string Path { get; } = path;

    /// <inheritdoc/>
    public bool NamesSource => true;

    /// <inheritdoc/>
    public async Task<CallConnection> ConnectAsync(RequestHeader header, CancellationToken cancellationToken)
    {
        var head = header.ToBytes();
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path), cancellationToken);
            return new Connection(socket, head);
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            socket.Dispose();
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "Cannot reach the daemon at %s: %s", Path,
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

    private sealed class Connection(Socket socket, byte[] head) : CallConnection
    {
        public override ReadOnlyMemory<byte> Head => head;

        public override async ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            try
            {
                return await socket.SendAsync(bytes, SocketFlags.None, cancellationToken);
            }
            catch (SocketException error)
            {
                throw new IOException(error.Message, error);
            }
        }

        public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            try
            {
                return await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            }
            catch (SocketException error)
            {
                throw new IOException(error.Message, error);
            }
        }

        public override void EndInput()
        {
            try
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // The daemon has ended the call.
            }
        }

        protected override void Dispose(bool disposing) => socket.Dispose();
    }
}
