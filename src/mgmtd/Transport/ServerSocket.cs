using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Daemon;

/// <summary>The listening socket: handed over by systemd, or made here in a directory that only the right people enter.</summary>
internal sealed class ServerSocket : IDisposable
{
    private const int Backlog = 4096;
    private readonly string? _path;

    private ServerSocket(Socket socket, string? path)
    {
        Socket = socket;
        _path = path;
    }

    internal Socket Socket { get; }

    /// <summary>
    /// Makes the run directory, when it is missing, before anything is put there: the daemon's alone, its group may enter.
    /// ERRORS: MgmtException with a sentence.
    /// </summary>
    internal static void PrepareDirectory(DaemonSettings settings)
    {
        const UnixFileMode own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        try
        {
            Directory.CreateDirectory(settings.RunDirectory, settings.IsSession ? own : own | UnixFileMode.GroupRead | UnixFileMode.GroupExecute);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "cannot make the run directory %s: %s", settings.RunDirectory, error.Message);
        }
    }

    /// <summary>The one that systemd listens on for us, or one of our own. ERRORS: MgmtException with a sentence when another mgmtd serves the path or it cannot be made.</summary>
    internal static ServerSocket Open(DaemonSettings settings, DescriptorStore inherited) =>
        inherited.TakeListening() is { } socket ? new(socket, null) : Open(settings, settings.SocketPath);

    /// <summary>A socket of one's own, whatever systemd handed over. ERRORS: as above.</summary>
    internal static ServerSocket Open(DaemonSettings settings, string path)
    {
        try
        {
            return new(Bind(settings, path), path);
        }
        catch (Exception error) when (error is IOException or SocketException or UnauthorizedAccessException or ArgumentException)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "cannot listen on %s: %s", path, error.Message);
        }
    }

    public void Dispose()
    {
        Socket.Dispose();
        if (_path is not null)
        {
            File.Delete(_path);
        }
    }

    private static Socket Bind(DaemonSettings settings, string path)
    {
        var group = settings.IsSession ? null : UnixGroups.Find(settings.Group);
        RemoveStale(path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var before = Native.Umask(settings.IsSession ? 0x7Fu /* 0177 */ : 0x4Fu /* 0117 */);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
        }
        finally
        {
            Native.Umask(before);
        }
        if (group is { } gid && Native.GetEffectiveUid() == 0)
        {
            Native.Chown(settings.RunDirectory, uint.MaxValue, gid);
            Native.Chown(path, uint.MaxValue, gid);
        }
        socket.Listen(Backlog);
        return socket;
    }

    /// <summary>A socket file outlives a killed daemon: only one that nobody answers on is removed.</summary>
    private static void RemoveStale(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }
        if (new FileInfo(path).Length > 0)
        {
            // Nobody answers on a plain file either.
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s is no socket; move it away, or name another path", path);
        }
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            File.Delete(path);
            return;
        }
        throw new MgmtException(ErrorCode.MgmtUnavailableError, "another mgmtd serves %s, or something else does; stop it or give another --run-dir", path);
    }
}
