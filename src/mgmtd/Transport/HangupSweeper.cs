using System.Collections.Concurrent;

namespace Mgmt.Daemon;

/// <summary>
/// Finds callers that went away. A peer that half-closed and then dies is invisible to a socket that is not read; poll() shows it.
/// Asks once a second for all calls that take longer than a moment.
/// </summary>
internal sealed class HangupSweeper : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<Watched, byte> _watched = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    internal HangupSweeper(TimeProvider clock) => _loop = Task.Run(() => SweepAsync(clock));

    /// <summary>Cancels the source when the peer is gone; disposing stops watching.</summary>
    internal IDisposable Watch(PeerSocket socket, CancellationTokenSource gone)
    {
        var watched = new Watched(this, socket, gone);
        _watched[watched] = 0;
        return watched;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private async Task SweepAsync(TimeProvider clock)
    {
        using var timer = new PeriodicTimer(Interval, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                Sweep();
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed.
        }
    }

    private unsafe void Sweep()
    {
        var watched = _watched.Keys.ToArray();
        var entries = new Native.PollFd[watched.Length];
        for (var i = 0; i < watched.Length; i++)
        {
            entries[i].Fd = watched[i].Descriptor;
        }
        fixed (Native.PollFd* fds = entries)
        {
            if (watched.Length == 0 || Native.Poll(fds, (nuint)watched.Length, 0) <= 0)
            {
                return;
            }
        }
        for (var i = 0; i < watched.Length; i++)
        {
            if ((entries[i].Returned & Native.PollHangup) != 0)
            {
                watched[i].Gone();
            }
        }
    }

    private sealed class Watched(HangupSweeper owner, PeerSocket socket, CancellationTokenSource gone) : IDisposable
    {
        private readonly Lock _gate = new();
        private bool _done;

        internal int Descriptor { get; } = socket.Descriptor;

        /// <summary>Under the gate: a descriptor that was closed meanwhile may be somebody else's by now.</summary>
        internal void Gone()
        {
            lock (_gate)
            {
                if (!_done && socket.HasHungUp())
                {
                    gone.CancelAsync();
                }
            }
        }

        public void Dispose()
        {
            lock (_gate)
            {
                _done = true;
            }
            owner._watched.TryRemove(this, out _);
        }
    }
}
