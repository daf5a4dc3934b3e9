using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Looks at what a pool holds in the background, at most every few seconds and only when somebody read what it found last.</summary>
internal sealed class Refresher : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private int _wanted;

    internal Refresher(PoolName pool, Action look, ILogger logger, TimeProvider time)
        : this(pool, Synchronous(look), logger, time)
    {
    }

    internal Refresher(PoolName pool, Func<CancellationToken, Task> look, ILogger logger, TimeProvider time) =>
        _loop = Task.Run(() => LoopAsync(pool, look, logger, time));

    /// <summary>Somebody reads: look again soon.</summary>
    internal void Want() => Volatile.Write(ref _wanted, 1);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private static Func<CancellationToken, Task> Synchronous(Action look) => _ =>
    {
        look();
        return Task.CompletedTask;
    };

    private async Task LoopAsync(PoolName pool, Func<CancellationToken, Task> look, ILogger logger, TimeProvider time)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                if (Interlocked.Exchange(ref _wanted, 0) == 0)
                {
                    continue;
                }
                try
                {
                    await look(_stop.Token);
                }
                catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or MgmtException)
                {
                    Log.RefreshFailed(logger, failure, pool.Value);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed.
        }
    }
}
