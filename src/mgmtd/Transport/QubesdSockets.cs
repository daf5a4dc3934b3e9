using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>The sockets where clients of Qubes OS look for their daemon, in addition to our own: the same calls, the same callers.</summary>
internal sealed class QubesdSockets : IDisposable
{
    private readonly List<ServerSocket> _sockets = [];
    private readonly List<Listener> _listeners = [];

    /// <summary>ERRORS: MgmtException with a sentence when one cannot be made, or a qubesd serves it.</summary>
    internal QubesdSockets(DaemonSettings settings, ConnectionHandler handler, ILogger<Listener> log)
    {
        try
        {
            // /var/run is a link to /run nearly everywhere: naming both is no mistake.
            foreach (var path in settings.QubesdSockets.Select(Real).Except([Real(settings.SocketPath)]).Distinct(StringComparer.Ordinal))
            {
                var socket = ServerSocket.Open(settings, path);
                _sockets.Add(socket);
                _listeners.Add(new Listener(socket.Socket, handler, settings.MaxConnections, log));
                Log.ServingQubesd(log, path);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="Listener.RunAsync"/>, for all of them.</summary>
    internal Task RunAsync(CancellationToken accepting, CancellationToken serving) => Task.WhenAll(_listeners.Select(listener => listener.RunAsync(accepting, serving)));

    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());

    private static string Real(string path)
    {
        var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return Path.Combine(Directory.ResolveLinkTarget(directory, returnFinalTarget: true)?.FullName ?? directory, Path.GetFileName(path));
    }
}
