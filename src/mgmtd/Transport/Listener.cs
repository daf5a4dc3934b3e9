using System.Net.Sockets;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>Accepts connections and hands each to the pool, so that no call's work delays the next accept.</summary>
internal sealed class Listener(Socket socket, ConnectionHandler handler, int maxConnections, ILogger<Listener> log)
{
    private int _open;

    /// <summary>Accepts until the first token ends; connections go on until the second does. Returns when the last one is closed.</summary>
    internal async Task RunAsync(CancellationToken accepting, CancellationToken serving)
    {
        while (!accepting.IsCancellationRequested)
        {
            try
            {
                var accepted = await socket.AcceptAsync(accepting);
                Interlocked.Increment(ref _open);
                ThreadPool.UnsafeQueueUserWorkItem(static state => state.Listener.Serve(state.Accepted, state.Cancellation), (Listener: this, Accepted: accepted, Cancellation: serving), preferLocal: false);
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (SocketException error)
            {
                // Out of descriptors, say: the connections that end make room again.
                Log.AcceptFailed(log, error);
                await Task.Delay(TimeSpan.FromMilliseconds(50), CancellationToken.None);
            }
        }
        await DrainAsync();
    }

    private void Serve(Socket accepted, CancellationToken cancellation)
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
