using System.Net.Sockets;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// Accepts connections in a few loops at once. A call whose request has arrived is mostly answered within microseconds, so each loop
/// begins it where it stands; the others accept meanwhile, and whatever has to be waited for goes on elsewhere.
/// </summary>
internal sealed class Listener(Socket socket, ConnectionHandler handler, int maxConnections, ILogger<Listener> log)
{
    /// <summary>Accepts between which a loop lets the pool's other work run: without, a busy socket would keep its threads for itself.</summary>
    private const int AcceptsInARow = 8;

    private int _open;

    /// <summary>Accepts until the first token ends; connections go on until the second does. Returns when the last one is closed.</summary>
    internal async Task RunAsync(CancellationToken accepting, CancellationToken serving)
    {
        var loops = Math.Max(2, Environment.ProcessorCount);
        await Task.WhenAll(Enumerable.Range(0, loops).Select(_ => Task.Run(() => AcceptAsync(accepting, serving), CancellationToken.None)));
        await DrainAsync();
    }

    private async Task AcceptAsync(CancellationToken accepting, CancellationToken serving)
    {
        for (var accepts = 1; !accepting.IsCancellationRequested; accepts++)
        {
            try
            {
                var accepted = await socket.AcceptAsync(accepting);
                Interlocked.Increment(ref _open);
                Serve(accepted, serving);
                if (accepts % AcceptsInARow == 0)
                {
                    await Task.Yield();
                }
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
