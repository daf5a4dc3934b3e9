namespace Mgmt.Api;

/// <summary>A VM whose process this daemon holds, and what waits for its end.</summary>
public sealed class VmSession(VmName name, IRunningVm vm)
{
    private bool _hasEnded;
    private GuestFacts _facts = GuestFacts.None;
    private int _clockStops;
    private readonly TaskCompletionSource _handled = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The VM.</summary>
    public VmName Name => name;

    /// <summary>Its process.</summary>
    public IRunningVm Vm => vm;

    /// <summary>Completes when its end was handled: volumes put away, state Halted, events out.</summary>
    public Task Handled => _handled.Task;

    /// <summary>Whether its end was asked for, so that it is no crash.</summary>
    public bool EndIsWanted { get; set; }

    /// <summary>Its process is gone; from now on only its end is written to its state.</summary>
    internal bool HasEnded
    {
        get => Volatile.Read(ref _hasEnded);
        set => Volatile.Write(ref _hasEnded, value);
    }

    internal Task Pump { get; set; } = Task.CompletedTask;

    internal ShutdownOperation? Shutdown { get; set; }

    /// <summary>The files and processes of its guest that callers hold.</summary>
    internal AgentHandles Handles { get; } = new();

    /// <summary>Its guest, when a caller had it frozen and nobody had it thawed since. Changed inside the VM's gate.</summary>
    internal FrozenGuest? FrozenByCall { get; set; }

    /// <summary>What its guest said of itself.</summary>
    internal GuestFacts Facts
    {
        get => Volatile.Read(ref _facts);
        set => Volatile.Write(ref _facts, value);
    }

    /// <summary>How often its guest's clock stood still, and how much of that was looked after.</summary>
    internal int ClockStops => Volatile.Read(ref _clockStops);

    internal int ClockLookedAt { get; set; }

    internal void ClockStopped() => Interlocked.Increment(ref _clockStops);

    /// <summary>Thaws its guest, when that was frozen.</summary>
    internal Task Thawing { get; set; } = Task.CompletedTask;

    /// <summary>How often its processors stopped by themselves. Changed and compared within transactions only.</summary>
    internal int OwnStops { get; set; }

    internal void MarkHandled() => _handled.TrySetResult();

    internal void MarkFailed(Exception error)
    {
        _handled.TrySetException(error);
        // Nobody need be waiting for it.
        _ = _handled.Task.Exception;
    }
}
