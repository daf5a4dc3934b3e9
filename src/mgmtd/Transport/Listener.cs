using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// Accepts connections in a thread per processor. A call whose request has arrived is mostly answered within microseconds, so the thread
/// that accepted it begins it where it stands; the others accept meanwhile, and whatever has to be waited for goes on in the pool.
/// </summary>
internal sealed class Listener(Socket socket, ConnectionHandler handler, int maxConnections, ILogger<Listener> log)
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromMilliseconds(50);
    private int _open;

    /// <summary>Accepts until the first token ends; connections go on until the second does. Returns when the last one is closed.</summary>
    internal async Task RunAsync(CancellationToken accepting, CancellationToken serving)
    {
        var threads = Enumerable.Range(0, Math.Max(2, Environment.ProcessorCount))
            .Select(_ => Task.Factory.StartNew(() => Accept(accepting, serving), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))
            .ToList();
        await Task.WhenAll(threads);
        await DrainAsync();
    }

    private void Accept(CancellationToken accepting, CancellationToken serving)
    {
        using var queue = new ConnectionQueue(socket);
        using var closing = accepting.Register(queue.Close);
        while (!accepting.IsCancellationRequested)
        {
            try
            {
                if (queue.Take() is { } accepted)
                {
                    Interlocked.Increment(ref _open);
                    Serve(accepted, serving);
                }
            }
            catch (SocketException error)
            {
                // Out of descriptors, say: the connections that end make room again.
                Log.AcceptFailed(log, error);
                accepting.WaitHandle.WaitOne(PauseAfterFailure);
            }
        }
    }

    private void Serve(PeerSocket accepted, CancellationToken cancellation)
    {
        var serving = _open > maxConnections ? handler.RefuseAsync(accepted) : handler.ServeAsync(accepted, cancellation);
        if (serving.IsCompleted)
        {
            Interlocked.Decrement(ref _open);
            return;
        }
        serving.ContinueWith(static (_, listener) => Interlocked.Decrement(ref ((Listener)listener!)._open), this, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task DrainAsync()
    {
        var until = Environment.TickCount64 + 10_000;
        while (Volatile.Read(ref _open) > 0 && Environment.TickCount64 < until)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), CancellationToken.None);
        }
    }
}
