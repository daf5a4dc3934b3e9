using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;

namespace Mgmt.Wire.Tests;

/// <summary>
/// A daemon on a real Unix socket that keeps the exact bytes of each request and lets the test answer. One connection
/// after another is answered, each by a task that is awaited in the end.
/// </summary>
public sealed class ScriptedDaemon : IAsyncDisposable
{
    private static readonly Lazy<string> Directories = new(() =>
    {
        var made = Directory.CreateTempSubdirectory("mgmt-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(made, recursive: true);
        return made;
    });

    private static int _paths;

    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<string, Socket, CancellationToken, Task> _answer;
    private readonly ConcurrentQueue<byte[]> _requests = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly bool _readPayload;
    private readonly Task _loop;

    /// <summary>Starts listening on a path that is free or was left behind by another. The answer gets the request as Latin-1 text.</summary>
    public ScriptedDaemon(string path, Func<string, Socket, CancellationToken, Task> answer, bool readPayload = true)
    {
        (Path, _answer, _readPayload) = (path, answer, readPayload);
        File.Delete(path);
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen(16);
        _loop = AcceptAsync();
    }

    public string Path { get; }

    /// <summary>The requests in the order they were complete, as Latin-1 text.</summary>
    public IReadOnlyList<string> Requests => [.. _requests.Select(Encoding.Latin1.GetString)];

    /// <summary>A daemon that gives each request one whole answer.</summary>
    public static ScriptedDaemon Answering(string path, Func<string, byte[]> answer) =>
        new(path, async (request, socket, token) => await socket.SendAsync(answer(request), token));

    public static ScriptedDaemon Answering(string path, string latin1) => Answering(path, _ => Encoding.Latin1.GetBytes(latin1));

    /// <summary>A new path for a socket, in a directory that goes with the process; sockets take short paths only.</summary>
    public static string NewPath() => System.IO.Path.Combine(Directories.Value, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"s{Interlocked.Increment(ref _paths)}"));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _loop;
        await Task.WhenAll(_connections);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(ServeAsync(await _listener.AcceptAsync(_stop.Token)));
            }
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using (socket)
        {
            try
            {
                var request = await ReadRequestAsync(socket);
                _requests.Enqueue(request);
                await _answer(Encoding.Latin1.GetString(request), socket, _stop.Token);
            }
            catch (Exception error) when (error is SocketException or OperationCanceledException)
            {
                // A client that goes away is part of some scripts.
            }
        }
    }

    private async Task<byte[]> ReadRequestAsync(Socket socket)
    {
        var request = new MemoryStream();
        var buffer = new byte[64 * 1024];
        for (int n; (n = await socket.ReceiveAsync(buffer, _stop.Token)) > 0;)
        {
            request.Write(buffer, 0, n);
            if (!_readPayload && buffer.AsSpan(0, n).Contains((byte)0))
            {
                break;
            }
        }
        return request.ToArray();
    }
}
