using System.Runtime.InteropServices;

namespace Mgmt.Machined.Bus;

/// <summary>One call on its way: queued, then sent or abandoned, then finished once.</summary>
internal abstract class BusWork(BusCall call)
{
    private const int Queued = 0;
    private const int Sent = 1;
    private const int Abandoned = 2;
    private int _state;

    public BusCall Call => call;

    /// <summary>While it is sent: sd-bus's handle of the pending reply, and ours. Bus thread only.</summary>
    public nint Slot { get; set; }

    public GCHandle Handle { get; set; }

    public BusConnection? Connection { get; set; }

    /// <summary>Claims it for sending; false when the caller has given up.</summary>
    public bool TrySend() => Interlocked.CompareExchange(ref _state, Sent, Queued) == Queued;

    /// <summary>The caller gives up: a file that still comes with the answer is closed. True when it was not sent and never will be.</summary>
    public bool Abandon()
    {
        GiveUp();
        return Interlocked.CompareExchange(ref _state, Abandoned, Queued) != Sent;
    }

    public abstract void Answer(BusReader reply);

    public abstract void Fail(BusFailure failure);

    protected abstract void GiveUp();
}

/// <summary>A call whose answer is read into a value, on the bus thread.</summary>
internal sealed class BusWork<T>(BusCall call, Func<BusReader, T> read) : BusWork(call)
{
    private readonly TaskCompletionSource<BusReply<T>> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private IDisposable? _held; // under the gate: an answer that has to be closed, if nobody takes it
    private bool _givenUp;      // under the gate

    public Task<BusReply<T>> Task => _answer.Task;

    public override void Answer(BusReader reply)
    {
        try
        {
            if (reply.Error() is { } failure)
            {
                Fail(failure);
                return;
            }
            var value = read(reply);
            Hold(value as IDisposable);
            _answer.TrySetResult(new(value, null));
        }
        catch (BusFormatException bad)
        {
            Fail(BusFailure.Of(BusFailureKind.BadReply, bad.Message));
        }
    }

    public override void Fail(BusFailure failure) => _answer.TrySetResult(new(default, failure));

    // An open file that came too late would stay open until somebody collects it.
    protected override void GiveUp()
    {
        IDisposable? held;
        lock (_gate)
        {
            (held, _givenUp) = (_held, true);
        }
        held?.Dispose();
    }

    private void Hold(IDisposable? value)
    {
        lock (_gate)
        {
            if (!_givenUp)
            {
                _held = value;
                return;
            }
        }
        value?.Dispose();
    }
}
