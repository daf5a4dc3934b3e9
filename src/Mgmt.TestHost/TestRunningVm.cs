using System.Threading.Channels;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A VM in memory. A zero delay happens before the call that caused it returns.</summary>
public sealed partial class TestRunningVm : IRunningVm
{
    // Drops the oldest when nobody reads: the newest, and Exited above all, must arrive.
    private const int MaxSignals = 256;

    private readonly Lock _gate = new();
    private readonly VmBehaviour _behaviour;
    private readonly TimeProvider _time;
    private readonly Action<TestRunningVm> _onGone;
    private readonly int _virtualProcessors;
    private readonly long _memoryKiB;
    private readonly Channel<VmSignal> _signals =
        Channel.CreateBounded<VmSignal>(new BoundedChannelOptions(MaxSignals) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly TaskCompletionSource<VmExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<ITimer> _timers = [];
    private readonly Queue<Action> _held = [];
    private VmState _processors = VmState.Paused;
    private bool _booted;
    private bool _gone;
    private bool _shuttingDown;
    private TimeSpan _ran;
    private long _runningSince;

    internal TestRunningVm(VmLaunch launch, VmRun run, VmBehaviour behaviour, TimeProvider time, Action<TestRunningVm> onGone)
    {
        Name = launch.Name;
        Run = run;
        _virtualProcessors = launch.VirtualProcessors;
        _memoryKiB = launch.MemoryMiB * 1024L;
        _diskBytes = launch.Disks.ToDictionary(disk => disk.Name, disk => disk.SizeBytes);
        _behaviour = behaviour;
        _time = time;
        _onGone = onGone;
        Agent = new TestGuestAgent(this, time);
        Devices = new TestDeviceSlots(Runs);
    }

    /// <summary>Whose process it is.</summary>
    public VmName Name { get; }

    /// <summary>Pids are above any that Linux gives out; there is no directory.</summary>
    public VmRun Run { get; private set; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Faults { get; private set; } = [];

    /// <inheritdoc/>
    public VmState InitialState { get; private set; } = VmState.Paused;

    /// <inheritdoc/>
    public IGuestAgent Agent { get; }

    /// <inheritdoc/>
    public IDeviceSlots Devices { get; }

    /// <inheritdoc/>
    public ChannelReader<VmSignal> Signals => _signals.Reader;

    /// <inheritdoc/>
    public Task<VmExit> Exited => _exited.Task;

    /// <inheritdoc/>
    public async Task ContinueAsync(CancellationToken cancellation)
    {
        await _time.Wait(_behaviour.Delays.Start, cancellation);
        lock (_gate)
        {
            ThrowIfGone();
            if (_behaviour.Faults.Continue is { } message)
            {
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s", message);
            }
            if (_processors == VmState.Running)
            {
                return;
            }
            _processors = VmState.Running;
            _runningSince = _time.GetTimestamp();
            while (_held.TryDequeue(out var act))
            {
                act();
            }
            if (!_booted)
            {
                _booted = true;
                Run = Run with { StartedAt = _time.GetUtcNow() };
                Boot();
            }
            Changed();
        }
    }

    /// <inheritdoc/>
    public async Task PauseAsync(CancellationToken cancellation)
    {
        await _time.Wait(_behaviour.Delays.Pause, cancellation);
        lock (_gate)
        {
            ThrowIfGone();
            if (_processors == VmState.Running)
            {
                _processors = VmState.Paused;
                _ran += _time.GetElapsedTime(_runningSince);
                Changed();
            }
        }
    }

    /// <summary>Presses the power button; a paused guest sees it when it runs again.</summary>
    public Task PressPowerButtonAsync(CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            lock (_gate)
            {
                ThrowIfGone();
                ShutDown();
            }
        },
        cancellation);

    /// <summary>Wakes a guest that sleeps; of any other nothing comes.</summary>
    public Task WakeUpAsync(CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            lock (_gate)
            {
                ThrowIfGone();
                if (_agent == AgentState.Suspended)
                {
                    Tell(new VmSignal.WokenUp());
                    SetAgent(AgentState.Ready);
                }
            }
        },
        cancellation);

    /// <inheritdoc/>
    public async Task KillAsync(CancellationToken cancellation)
    {
        await _time.Wait(_behaviour.Delays.Kill, cancellation);
        End(new VmExit(false, "killed"));
    }

    /// <summary>The memory it was given; its processors are busy for a twentieth of the time they run. Null when it is gone.</summary>
    public VmUsage? Usage()
    {
        lock (_gate)
        {
            var ran = _processors == VmState.Running ? _ran + _time.GetElapsedTime(_runningSince) : _ran;
            return _gone ? null : new VmUsage(_memoryKiB, ran * _virtualProcessors / 20);
        }
    }

    /// <summary>Lets go of it; it lives on in its backend.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Notes where the process was placed; false when it was ended meanwhile.</summary>
    internal bool Place(MachineScope scope)
    {
        lock (_gate)
        {
            Run = Run with { Machine = scope.Name };
            Faults = scope.Degraded is { } fault ? [fault] : [];
            return !_gone;
        }
    }

    internal void Adopted()
    {
        lock (_gate)
        {
            InitialState = _processors;
        }
    }

    /// <summary>The process is gone. Only the first call counts.</summary>
    internal void End(VmExit exit)
    {
        lock (_gate)
        {
            if (_gone)
            {
                return;
            }
            _gone = true;
            _held.Clear();
            _timers.ForEach(timer => timer.Dispose());
            _timers.Clear();
            _agent = AgentState.Absent;
            _console?.End();
            // Before anybody hears of it, so that a restart on hearing finds the name free.
            _onGone(this);
            Tell(new VmSignal.Exited(exit));
            _signals.Writer.TryComplete();
            _exited.TrySetResult(exit);
            Changed();
        }
    }

    private bool Runs()
    {
        lock (_gate)
        {
            return _processors == VmState.Running;
        }
    }

    private void ThrowIfGone()
    {
        if (_gone)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The process of %s is gone", Name.Value);
        }
    }

    private void Tell(VmSignal signal) => _signals.Writer.TryWrite(signal);

    /// <summary>Runs an act under the gate after a delay, unless the process is gone by then.</summary>
    private void After(TimeSpan delay, Action act)
    {
        if (delay <= TimeSpan.Zero)
        {
            act();
            return;
        }
        _timers.Add(_time.CreateTimer(
            _ =>
            {
                lock (_gate)
                {
                    if (!_gone)
                    {
                        act();
                    }
                }
            },
            null,
            delay,
            Timeout.InfiniteTimeSpan));
    }

    /// <summary>As above for what the guest does: a paused guest does it when it runs again.</summary>
    private void AfterInGuest(TimeSpan delay, Action act) => After(delay, () =>
    {
        if (_processors == VmState.Running)
        {
            act();
        }
        else
        {
            _held.Enqueue(act);
        }
    });
}
