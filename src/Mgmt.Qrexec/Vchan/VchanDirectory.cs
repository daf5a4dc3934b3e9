using System.Globalization;
using System.Net.Sockets;

namespace Mgmt.Qrexec;

/// <summary>
/// A directory of sockets as libvchan-socket makes them: <c>vchan.SERVER.CLIENT.PORT.sock</c>, a plain stream each, whose server takes one connection ever. So nobody looks by connecting
/// whether there is one, and a file that refuses is one of yesterday. SOURCE: qubes-core-vchan-socket 4.1.
/// </summary>
public sealed class VchanDirectory : IDisposable
{
    private const uint Host = 0;
    private const int MaxPath = 107;
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly FileSystemWatcher _watcher;
    private TaskCompletionSource _changed = NewSignal();

    /// <summary>The directory has to exist. ERRORS: ArgumentException for one that does not, or whose path is too long for sockets.</summary>
    public VchanDirectory(string path, TimeProvider clock)
    {
        (_path, _clock) = (path, clock);
        if (PathOf(uint.MaxValue, uint.MaxValue, uint.MaxValue).Length > MaxPath)
        {
            throw new ArgumentException($"the path of a directory of vchan sockets is too long: {path}", nameof(path));
        }
        // A guest that has not come yet is waited for without looking again and again.
        _watcher = new FileSystemWatcher(path, "vchan.*") { NotifyFilter = NotifyFilters.FileName };
        _watcher.Created += (_, _) => Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
        _watcher.EnableRaisingEvents = true;
    }

    /// <summary>
    /// Connects to a port on which a guest listens, and waits for it to listen until the token ends. ERRORS: OperationCanceledException.
    /// </summary>
    public async Task<Stream> DialAsync(uint domain, uint port, CancellationToken cancellation)
    {
        for (var pause = ShortestPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            var changed = Volatile.Read(ref _changed).Task;
            if (await TryAsync(PathOf(domain, Host, port), cancellation) is { } stream)
            {
                return stream;
            }
            // One that was made and does not listen yet refuses for a moment more.
            var woken = Task.WhenAny(changed, Task.Delay(pause, _clock, cancellation));
            if (await woken == changed)
            {
                pause = ShortestPause;
            }
            cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Listens on a port for a guest to connect. ERRORS: IOException.</summary>
    internal VchanListener Listen(uint domain, uint port) => new(PathOf(Host, domain, port));

    /// <inheritdoc/>
    public void Dispose() => _watcher.Dispose();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Null: not there, or not yet.</summary>
    private static async Task<Stream?> TryAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private string PathOf(uint server, uint client, uint port) => Path.Combine(_path, string.Create(CultureInfo.InvariantCulture, $"vchan.{server}.{client}.{port}.sock"));
}
