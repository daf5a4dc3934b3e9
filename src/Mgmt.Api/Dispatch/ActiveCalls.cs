using System.Collections.Concurrent;

namespace Mgmt.Api;

/// <summary>The calls in flight, for call.List and call.Cancel.</summary>
public sealed class ActiveCalls(TimeProvider clock)
{
    private readonly ConcurrentDictionary<long, ActiveCall> _calls = new();
    private long _last;

    /// <summary>What is in flight now, oldest first.</summary>
    public IEnumerable<ActiveCall> List => _calls.Values.OrderBy(call => call.Id);

    /// <summary>How many.</summary>
    public int Count => _calls.Count;

    /// <summary>The next call's number.</summary>
    public long NextId() => Interlocked.Increment(ref _last);

    /// <summary>Enters a call; disposing takes it out.</summary>
    public ActiveCall Enter(CallContext context, CancellationToken daemon) =>
        Enter(new(this, context.Id, context.Request, context.Caller, clock.GetTimestamp(), daemon) { Context = context });

    /// <summary>Enters a service that a guest calls, which may be cancelled at any time; disposing takes it out.</summary>
    public ActiveCall Enter(long id, CallRequest request, Caller caller, CancellationToken daemon) => Enter(new(this, id, request, caller, clock.GetTimestamp(), daemon));

    private ActiveCall Enter(ActiveCall call)
    {
        _calls[call.Id] = call;
        return call;
    }

    internal TimeSpan Age(ActiveCall call) => clock.GetElapsedTime(call.Began);

    internal ActiveCall? Find(long id) => _calls.GetValueOrDefault(id);

    internal void Leave(long id) => _calls.TryRemove(id, out _);
}

/// <summary>A call in flight.</summary>
public sealed class ActiveCall : IDisposable
{
    private readonly ActiveCalls _owner;
    private const int Acting = 0, Asking = 1, GivenUp = 2;
    private readonly CancellationTokenSource _cancel;
    private int _stage;
    private volatile string? _target;

    internal ActiveCall(ActiveCalls owner, long id, CallRequest request, Caller caller, long began, CancellationToken daemon)
    {
        (_owner, Id, Request, Caller, Began) = (owner, id, request, caller, began);
        _cancel = CancellationTokenSource.CreateLinkedTokenSource(daemon);
    }

    /// <summary>The number of the call since the daemon started.</summary>
    public long Id { get; }

    /// <summary>The header.</summary>
    public CallRequest Request { get; }

    /// <summary>Who calls.</summary>
    public Caller Caller { get; }

    /// <summary>The management call; null for a service.</summary>
    public CallContext? Context { get; internal init; }

    /// <summary>Where it went by now, or what the caller asked for.</summary>
    public string Target => Context?.Target?.Name.Value ?? _target ?? Request.Destination;

    /// <summary>When it began.</summary>
    public long Began { get; }

    /// <summary>Ends when it is to stop. A change that only waits for nobody is given no such token.</summary>
    public CancellationToken Token => _cancel.Token;

    /// <summary>Whether a caller may have it cancelled: reads, streams and services, and changes that say so.</summary>
    public bool IsCancellable => Context is null || Context.Row.Access == CallAccess.Read || Context.Row.IsCancellable;

    /// <summary>Whether somebody asked for its end.</summary>
    public bool WasCancelled { get; private set; }

    /// <summary>The call waits for somebody's answer: nothing has begun, so it may be cancelled whatever it is.</summary>
    internal void BeginAsking() => Interlocked.CompareExchange(ref _stage, Asking, Acting);

    /// <summary>The answer is there and the call begins, unless it was cancelled before: OperationCanceledException.</summary>
    internal void EndAsking()
    {
        if (Interlocked.CompareExchange(ref _stage, Acting, Asking) != Asking)
        {
            // Somebody is about to cancel it, and was told that it is.
            WasCancelled = true;
            _cancel.Cancel();
        }
        Token.ThrowIfCancellationRequested();
    }

    /// <summary>A service was sent there.</summary>
    public void GoesTo(string target) => _target = target;

    /// <summary>Asks for its end; false when it cannot be cancelled.</summary>
    public bool Cancel()
    {
        if (Interlocked.CompareExchange(ref _stage, GivenUp, Asking) != Asking && !IsCancellable)
        {
            return false;
        }
        WasCancelled = true;
        try
        {
            _cancel.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself meanwhile.
        }
        return true;
    }

    /// <summary>Takes it out.</summary>
    public void Dispose()
    {
        _owner.Leave(Id);
        _cancel.Dispose();
    }
}
