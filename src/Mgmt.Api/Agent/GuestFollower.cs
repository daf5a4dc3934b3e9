using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Mgmt.Api;

/// <summary>
/// Keeps the facts of guests fresh: asks when an agent gets ready and after a pause, then once a minute, each guest on its own, one question at a time. A guest whose processors stood
/// still has its clock set. SOURCE: docs/guest-agent.md, "Facts".
/// </summary>
public sealed class GuestFollower(LifecycleServices services)
{
    /// <summary>Between two rounds.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(60);

    // What does not fit is found by the next round.
    private const int QueueLength = 1024;

    private readonly Channel<VmName> _due = Channel.CreateBounded<VmName>(new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
    private readonly ConcurrentDictionary<VmSession, Task> _asking = new();

    /// <summary>Runs until the token ends.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var subscription = services.Store.Journal.Subscribe(entries =>
        {
            foreach (var entry in entries)
            {
                Look(entry.Event);
            }
        });
        using var rounds = services.Clock.CreateTimer(_ => EveryVm(), null, TimeSpan.Zero, Interval);
        try
        {
            await foreach (var name in _due.Reader.ReadAllAsync(cancellation))
            {
                Ask(name, cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon stops.
        }
        await Task.WhenAll(_asking.Values);
    }

    /// <summary>From the journal, which waits: only notes it.</summary>
    private void Look(MgmtEvent happened)
    {
        var stoodStill = happened.Name is "domain-unpaused" or "domain-resumed";
        if ((stoodStill || (happened.Name == "agent-state" && happened["agent"] == "ready")) && VmName.TryParse(happened.Subject) is { } name)
        {
            if (stoodStill && services.Sessions.Find(name) is { } session)
            {
                session.ClockStopped();
            }
            _due.Writer.TryWrite(name);
        }
    }

    private void EveryVm()
    {
        foreach (var session in services.Sessions.All)
        {
            _due.Writer.TryWrite(session.Name);
        }
    }

    private void Ask(VmName name, CancellationToken cancellation)
    {
        if (services.Sessions.Find(name) is { HasEnded: false } session && session.Vm.Agent.State == AgentState.Ready
            && services.Store.Current.Find(name) is { Status: { State: VmState.Running, Run.FrozenAt: null } })
        {
            // One round at a time; an event during it is looked after by the next.
            _asking.GetOrAdd(session, one => AskAsync(one, cancellation));
        }
    }

    private async Task AskAsync(VmSession session, CancellationToken cancellation)
    {
        // Not before it is in the table.
        await Task.Yield();
        var stops = session.ClockStops;
        try
        {
            await new GuestQuestions(services, session).AskAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            // The daemon stops.
        }
        catch (Exception error)
        {
            Log.LoopFailed(services.Log, "guest facts", error);
        }
        finally
        {
            _asking.TryRemove(session, out _);
            if (session.ClockStops != stops)
            {
                // It stood still while we asked.
                _due.Writer.TryWrite(session.Name);
            }
        }
    }
}
