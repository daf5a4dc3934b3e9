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

    /// <summary>The caller gives up. True when it was not sent and never will be.</summary>
    public bool Abandon() => Interlocked.CompareExchange(ref _state, Abandoned, Queued) != Sent;

    public abstract void Answer(BusReader reply);

    public abstract void Fail(BusFailure failure);
}

/// <summary>A call whose answer is read into a value, on the bus thread.</summary>
internal sealed class BusWork<T>(BusCall call, Func<BusReader, T> read) : BusWork(call)
{
    private readonly TaskCompletionSource<BusReply<T>> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<BusReply<T>> Task => _answer.Task;

    public override void Answer(BusReader reply)
    {
        try
        {
            _answer.TrySetResult(reply.Error() is { } failure ? new(default, failure) : new(read(reply), null));
        }
        catch (BusFormatException bad)
        {
            Fail(BusFailure.Of(BusFailureKind.BadReply, bad.Message));
        }
    }

    public override void Fail(BusFailure failure) => _answer.TrySetResult(new(default, failure));
}
