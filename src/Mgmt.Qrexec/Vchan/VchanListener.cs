using System.Net.Sockets;

namespace Mgmt.Qrexec;

/// <summary>The host's end of a vchan socket of which it is the server: takes one connection ever. Its file is gone as soon as that has come, so that a second one is refused and not left waiting.</summary>
internal sealed class VchanListener : IDisposable
{
    private readonly string _path;
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private int _isDisposed;

    /// <summary>Listens, in the place of whatever has the path. ERRORS: IOException.</summary>
    internal VchanListener(string path)
    {
        _path = path;
        try
        {
            File.Delete(path);
            _socket.Bind(new UnixDomainSocketEndPoint(path));
            _socket.Listen(1);
        }
        catch (Exception error) when (error is SocketException or UnauthorizedAccessException)
        {
            _socket.Dispose();
            throw new IOException($"cannot listen on {path}: {error.Message}", error);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    /// <summary>The one connection. ERRORS: OperationCanceledException; IOException.</summary>
    internal async Task<Stream> AcceptAsync(CancellationToken cancellation)
    {
        try
        {
            var stream = new NetworkStream(await _socket.AcceptAsync(cancellation), ownsSocket: true);
            Dispose();
            return stream;
        }
        catch (SocketException error)
        {
            throw new IOException($"cannot take a connection on {_path}: {error.Message}", error);
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }
        _socket.Dispose();
        try
        {
            File.Delete(_path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A file that nobody listens on means nothing.
        }
    }
}
