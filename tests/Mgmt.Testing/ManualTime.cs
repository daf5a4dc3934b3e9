namespace Mgmt.Testing;

/// <summary>A clock that moves only when it is told to; timers run inside <see cref="Advance"/>, in the order they are due.</summary>
public sealed class ManualTime : TimeProvider
{
    private readonly Lock _gate = new();
    // Guarded by _gate.
    private readonly List<Timer> _timers = [];
    private TaskCompletionSource _armed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Interlocked.Read(ref _ticks);

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(GetTimestamp());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void Advance(int milliseconds)
    {
        var end = GetTimestamp() + TimeSpan.FromMilliseconds(milliseconds).Ticks;
        while (true)
        {
            Timer? next;
            lock (_gate)
            {
                next = _timers.Where(timer => timer.Due <= end).MinBy(timer => timer.Due);
                Interlocked.Exchange(ref _ticks, next is null ? end : Math.Max(_ticks, next.Due));
                if (next is null)
                {
                    return;
                }
                _timers.Remove(next);
                next.Rearm();
            }
            next.Run();
        }
    }

    /// <summary>Ends when somebody waits on this clock: who moves it before that moves it for nobody.</summary>
    public Task ArmedAsync()
    {
        lock (_gate)
        {
            if (_timers.Count > 0)
            {
                return Task.CompletedTask;
            }
            _armed = _armed.Task.IsCompleted ? new(TaskCreationOptions.RunContinuationsAsynchronously) : _armed;
            return _armed.Task;
        }
    }

    /// <summary>Moves on in steps of a second, giving those it wakes time to arm their next timer, until the condition or the limit.</summary>
    public async Task AdvanceUntilAsync(TimeSpan limit, Func<bool> condition)
    {
        for (var end = GetTimestamp() + limit.Ticks; GetTimestamp() < end && !condition();)
        {
            Advance(1000);
            for (var i = 0; i < 20 && !condition(); i++)
            {
                await Task.Yield();
            }
            await Task.Run(() => Thread.Yield());
        }
    }

    private sealed class Timer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period = Timeout.InfiniteTimeSpan;

        public long Due { get; private set; }

        public void Run() => callback(state);

        /// <summary>Under the gate.</summary>
        public void Rearm()
        {
            if (_period > TimeSpan.Zero)
            {
                Due += _period.Ticks;
                time._timers.Add(this);
            }
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._gate)
            {
                time._timers.Remove(this);
                _period = period;
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    Due = time._ticks + dueTime.Ticks;
                    time._timers.Add(this);
                    time._armed.TrySetResult();
                }
            }
            return true;
        }

        public void Dispose()
        {
            lock (time._gate)
            {
                time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
