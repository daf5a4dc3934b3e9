using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mgmt.Machined.Bus;

/// <summary>
/// One connection, from its opening to its loss; a lost one never heals and is replaced. Everything here, callbacks
/// included, runs on the bus thread.
/// </summary>
internal sealed unsafe class BusConnection : IDisposable
{
    private const int MostPending = 512;
    private const int MessagesPerTurn = 256;
    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(3);

    private readonly HashSet<BusWork> _pending = [];
    private readonly List<GCHandle> _matches = [];
    private readonly Action<Exception> _onFault;
    private readonly long _openedAt = Stopwatch.GetTimestamp();
    private nint _bus;

    private BusConnection(Action<Exception> onFault) => _onFault = onFault;

    /// <summary>Whether the bus has taken us in: only then may calls be made.</summary>
    public bool IsReady { get; private set; }

    public int Fd => SdBus.GetFd(_bus);

    public short Events => (short)Math.Max(0, SdBus.GetEvents(_bus));

    /// <summary>Begins to connect, without waiting. Null and the reason when that is impossible at once.</summary>
    public static BusConnection? TryOpen(string address, Action<Exception> onFault, out string? why)
    {
        var connection = new BusConnection(onFault);
        try
        {
            why = connection.Open(address);
        }
        catch (Exception missing) when (missing is DllNotFoundException or EntryPointNotFoundException)
        {
            why = "libsystemd.so.0 is missing or too old";
        }
        if (why is null)
        {
            return connection;
        }
        connection.Dispose();
        return null;
    }

    /// <summary>Handles what has come. The reason when the connection is lost, else null.</summary>
    public string? Pump()
    {
        for (var n = 0; n < MessagesPerTurn; n++)
        {
            var result = SdBus.Process(_bus, null);
            if (result < 0)
            {
                return $"the bus was lost: {Text(result)}";
            }
            if (result == 0)
            {
                break;
            }
        }
        if (SdBus.IsOpen(_bus) <= 0)
        {
            return "the bus closed the connection";
        }
        IsReady = IsReady || SdBus.IsReady(_bus) > 0;
        return !IsReady && Stopwatch.GetElapsedTime(_openedAt) >= ReadyDeadline ? "the bus accepts connections and says nothing" : null;
    }

    /// <summary>How long poll may wait, in milliseconds rounded up; -1 without end.</summary>
    public int WaitMilliseconds()
    {
        var untilReady = IsReady ? -1 : (int)Math.Max(0, (ReadyDeadline - Stopwatch.GetElapsedTime(_openedAt)).TotalMilliseconds + 1);
        if (SdBus.GetTimeout(_bus, out var until) < 0 || until == ulong.MaxValue)
        {
            return untilReady;
        }
        // sd-bus counts CLOCK_MONOTONIC from the same zero as Stopwatch.
        var now = (ulong)(Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000));
        var wait = until <= now ? 0 : (int)Math.Min((until - now + 999) / 1000, 60_000);
        return untilReady < 0 ? wait : Math.Min(wait, untilReady);
    }

    /// <summary>Asks for a signal. The reason when that fails; a refusal by the bus itself ends the connection.</summary>
    public string? Subscribe(BusMatch match)
    {
        var handle = GCHandle.Alloc(new Subscription(this, match));
        _matches.Add(handle);
        var result = SdBus.AddMatchAsync(_bus, null, match.Rule, &OnSignal, 0, GCHandle.ToIntPtr(handle));
        return result < 0 ? $"match not added: {Text(result)}" : null;
    }

    /// <summary>Sends a call that has been claimed for sending; it is finished here, in <see cref="OnReply"/> or in Dispose.</summary>
    public void Send(BusWork work)
    {
        if (_pending.Count >= MostPending)
        {
            work.Fail(BusFailure.Of(BusFailureKind.NotSent, "too many calls are unanswered"));
            return;
        }
        nint message = 0;
        try
        {
            var call = work.Call;
            Check(SdBus.NewMethodCall(_bus, out message, call.Destination, call.Path, call.Interface, call.Member));
            call.Arguments?.Invoke(new BusWriter(message));
            work.Handle = GCHandle.Alloc(work);
            work.Connection = this;
            _pending.Add(work);
            Check(SdBus.CallAsync(_bus, out var slot, message, &OnReply, GCHandle.ToIntPtr(work.Handle), (ulong)call.AnswerWithin.TotalMicroseconds));
            work.Slot = slot;
        }
        catch (BusFormatException bad)
        {
            Release(work);
            work.Fail(BusFailure.Of(BusFailureKind.NotSent, bad.Message));
        }
        finally
        {
            _ = message == 0 ? 0 : SdBus.MessageUnref(message);
        }
    }

    /// <summary>Closes it; what was sent and not answered is finished as lost.</summary>
    public void Dispose()
    {
        foreach (var work in _pending.ToArray())
        {
            Release(work);
            work.Fail(BusFailure.Of(BusFailureKind.Lost, "the bus was lost"));
        }
        if (_bus != 0)
        {
            _bus = SdBus.CloseUnref(_bus);
        }
        _matches.ForEach(handle => handle.Free());
        _matches.Clear();
    }

    private string? Open(string address)
    {
        var result = SdBus.New(out _bus);
        result = result < 0 ? result : SdBus.SetAddress(_bus, address);
        result = result < 0 ? result : SdBus.SetBusClient(_bus, 1);
        result = result < 0 ? result : SdBus.Start(_bus);
        return result < 0 ? $"the bus cannot be reached: {Text(result)}" : null;
    }

    private void Finish(BusWork work, nint message)
    {
        Release(work);
        // When the connection ends, sd-bus itself answers what is pending; that is a loss and no word of the callee's.
        if (SdBus.IsOpen(_bus) <= 0)
        {
            work.Fail(BusFailure.Of(BusFailureKind.Lost, "the bus was lost"));
            return;
        }
        work.Answer(new BusReader(message));
    }

    private void Release(BusWork work)
    {
        if (!_pending.Remove(work))
        {
            return;
        }
        work.Slot = work.Slot == 0 ? 0 : SdBus.SlotUnref(work.Slot);
        work.Handle.Free();
        work.Connection = null;
    }

    // An exception that crosses into sd-bus would end the process.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnReply(nint message, nint userdata, nint error)
    {
        var work = (BusWork)GCHandle.FromIntPtr(userdata).Target!;
        var connection = work.Connection!;
        try
        {
            connection.Finish(work, message);
        }
        catch (Exception bug)
        {
            work.Fail(BusFailure.Of(BusFailureKind.BadReply, "internal error"));
            connection._onFault(bug);
        }
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnSignal(nint message, nint userdata, nint error)
    {
        var subscription = (Subscription)GCHandle.FromIntPtr(userdata).Target!;
        try
        {
            subscription.Match.OnSignal(new BusReader(message));
        }
        catch (Exception bad)
        {
            subscription.Connection._onFault(bad);
        }
        return 0;
    }

    private static void Check(int result)
    {
        if (result < 0)
        {
            throw new BusFormatException(Text(result));
        }
    }

    private static string Text(int result) => Marshal.GetPInvokeErrorMessage(-result);

    private sealed record Subscription(BusConnection Connection, BusMatch Match);
}
