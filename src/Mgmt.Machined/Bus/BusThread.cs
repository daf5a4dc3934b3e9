using System.Diagnostics;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Bus;

/// <summary>
/// The one thread that may touch sd-bus. Others queue calls and await their answers. It connects, reconnects with growing
/// pauses, and tells through its callbacks (on its own thread) when the bus came and went.
/// </summary>
internal sealed class BusThread : IAsyncDisposable
{
    private const int QueueBound = 256;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    // Full: the call fails at once as not sent.
    private readonly Channel<BusWork> _queue = Channel.CreateBounded<BusWork>(new BoundedChannelOptions(QueueBound) { SingleReader = true });
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _address;
    private readonly IReadOnlyList<BusMatch> _matches;
    private readonly Action _onConnected;
    private readonly Action<string> _onLost;
    private readonly ILogger _log;
    private volatile bool _stopping;

    private readonly Lock _gate = new();
    private readonly SafeFileHandle _wake = Libc.NewEventFd(); // closed under the gate
    private bool _started;                                     // under the gate

    // The bus thread's own.
    private readonly Libc.PollFd[] _polled = new Libc.PollFd[2];
    private BusConnection? _connection;
    private bool _announced;
    private string _lostBecause = "not connected yet";
    private long _triedAt;
    private TimeSpan _pause = TimeSpan.Zero;

    public BusThread(string address, IReadOnlyList<BusMatch> matches, Action onConnected, Action<string> onLost, ILogger log)
    {
        (_address, _matches, _onConnected, _onLost, _log) = (address, matches, onConnected, onLost, log);
    }

    /// <summary>Starts the thread, once; does not wait for the bus.</summary>
    public void Start()
    {
        lock (_gate)
        {
            if (_started || _stopping)
            {
                return;
            }
            _started = true;
        }
        new Thread(Run) { IsBackground = true, Name = "mgmt-bus" }.Start();
    }

    /// <summary>Queues a call. It is always finished: answered, refused, or failed when its time is over.</summary>
    public BusWork<T> Post<T>(BusCall call, Func<BusReader, T> read)
    {
        var work = new BusWork<T>(call, read);
        if (_queue.Writer.TryWrite(work))
        {
            Wake();
        }
        else
        {
            work.Fail(BusFailure.Of(BusFailureKind.NotSent, _stopping ? "the daemon is stopping" : "too many calls are queued"));
        }
        return work;
    }

    public async ValueTask DisposeAsync()
    {
        bool started;
        lock (_gate)
        {
            _stopping = true;
            started = _started;
        }
        _queue.Writer.TryComplete();
        Wake();
        if (started)
        {
            await _ended.Task;
        }
        lock (_gate)
        {
            _wake.Dispose();
        }
    }

    private void Wake()
    {
        lock (_gate)
        {
            if (!_wake.IsClosed)
            {
                _ = Libc.Write(_wake, 1, sizeof(ulong));
            }
        }
    }

    private void Run()
    {
        try
        {
            while (!_stopping)
            {
                Turn();
            }
        }
        catch (Exception bug)
        {
            Log.BusThreadEnded(_log, bug);
        }
        finally
        {
            _queue.Writer.TryComplete();
            _lostBecause = "the daemon is stopping";
            _connection?.Dispose();
            RefuseQueue();
            _ended.SetResult();
        }
    }

    private void Turn()
    {
        if (_connection is null && (!MayTry() || !Connect()))
        {
            RefuseQueue();
            Wait(-1, 0, (int)Math.Clamp((_pause - Stopwatch.GetElapsedTime(_triedAt)).TotalMilliseconds + 1, 0, int.MaxValue));
            return;
        }
        if (_connection!.Pump() is { } why)
        {
            Lose(why);
            return;
        }
        if (_connection.IsReady)
        {
            if (!_announced && !Announce())
            {
                return;
            }
            SendQueue();
        }
        Wait(_connection.Fd, _connection.Events, _connection.WaitMilliseconds());
    }

    // A call that waits is worth an early try, so that a bus which is back is not reported as absent.
    private bool MayTry()
    {
        var since = Stopwatch.GetElapsedTime(_triedAt);
        return since >= _pause || (since >= FirstPause && _queue.Reader.TryPeek(out _));
    }

    private bool Connect()
    {
        _triedAt = Stopwatch.GetTimestamp();
        _pause = TimeSpan.FromTicks(Math.Clamp(_pause.Ticks * 2, FirstPause.Ticks, LongestPause.Ticks));
        _connection = BusConnection.TryOpen(_address, fault => Log.BadMessage(_log, fault), out var why);
        if (_connection is null)
        {
            Lose(why!);
        }
        return _connection is not null;
    }

    /// <summary>Once per connection: the signals we want, then the word that the bus is there.</summary>
    private bool Announce()
    {
        foreach (var match in _matches)
        {
            if (_connection!.Subscribe(match) is { } why)
            {
                Lose(why);
                return false;
            }
        }
        _announced = true;
        Log.Connected(_log, _address);
        _onConnected();
        return true;
    }

    private void SendQueue()
    {
        while (_queue.Reader.TryRead(out var work))
        {
            if (work.TrySend())
            {
                _connection!.Send(work);
            }
        }
    }

    private void Lose(string why)
    {
        if (_announced || why != _lostBecause)
        {
            Log.Lost(_log, _address, why);
        }
        // At once after a good while; a bus that takes us in only to drop us is met less and less often.
        if (_announced && Stopwatch.GetElapsedTime(_triedAt) > LongestPause)
        {
            _pause = TimeSpan.Zero;
        }
        _connection?.Dispose();
        (_connection, _announced) = (null, false);
        _lostBecause = why;
        _onLost(why);
        RefuseQueue();
    }

    private void RefuseQueue()
    {
        while (_queue.Reader.TryRead(out var work))
        {
            if (work.TrySend())
            {
                work.Fail(BusFailure.Of(BusFailureKind.NotSent, _lostBecause));
            }
        }
    }

    private void Wait(int fd, short events, int milliseconds)
    {
        _polled[0] = new Libc.PollFd { Fd = (int)_wake.DangerousGetHandle(), Events = Libc.PollIn };
        _polled[1] = new Libc.PollFd { Fd = fd, Events = events };
        if (Libc.Poll(_polled, 2, milliseconds) > 0 && _polled[0].Returned != 0)
        {
            _ = Libc.Read(_wake, out _, sizeof(ulong));
        }
    }
}
