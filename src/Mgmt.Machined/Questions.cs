using Mgmt.Machined.Bus;

namespace Mgmt.Machined;

/// <summary>Calls under a deadline of the caller's. One that ends at the deadline is abandoned, or unanswered when it was already sent.</summary>
internal sealed class Questions(BusThread bus, TimeProvider time)
{
    public Task<BusReply<T>> AskAsync<T>(BusCall call, Func<BusReader, T> read, TimeSpan within, CancellationToken cancellation) =>
        WithinAsync(bus.Post(call, read), within, cancellation);

    public async Task<BusReply<T>> WithinAsync<T>(BusWork<T> work, TimeSpan within, CancellationToken cancellation)
    {
        try
        {
            return await work.Task.WaitAsync(within > TimeSpan.Zero ? within : TimeSpan.Zero, time, cancellation);
        }
        catch (TimeoutException)
        {
            var text = $"no answer within {(int)Math.Max(0, within.TotalMilliseconds)} ms";
            return new(default, BusFailure.Of(work.Abandon() ? BusFailureKind.NotSent : BusFailureKind.Unanswered, text));
        }
        catch (OperationCanceledException)
        {
            work.Abandon();
            throw;
        }
    }

    /// <summary>Whether the machine is the one with that UUID and leader; null when machined does not say.</summary>
    public async Task<BusReply<bool?>> OwnsAsync(string machine, Guid uuid, int leaderPid, TimeSpan within, CancellationToken cancellation)
    {
        var start = time.GetTimestamp();
        TimeSpan Left() => within - time.GetElapsedTime(start);
        var path = await AskAsync(MachineCalls.Get(machine), reader => reader.ObjectPath(), within, cancellation);
        if (path.Failure is not null)
        {
            return Verdict(path.Failure);
        }
        var id = await AskAsync(MachineCalls.GetProperty(path.Value!, "Id"), MachineCalls.ReadId, Left(), cancellation);
        if (id.Failure is not null)
        {
            return Verdict(id.Failure);
        }
        var leader = await AskAsync(MachineCalls.GetProperty(path.Value!, "Leader"), MachineCalls.ReadLeader, Left(), cancellation);
        return leader.Failure is not null ? Verdict(leader.Failure) : new(id.Value == uuid && leader.Value == (uint)leaderPid, null);
    }

    private static BusReply<bool?> Verdict(BusFailure failure) =>
        failure.Name is MachineCalls.NoSuchMachine or BusNames.UnknownObject ? new(false, null) : new(null, failure);
}
