using Mgmt.Policy;
using Mgmt.State;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>Turns what the policy store and the registry of machines tell into events, until both end.</summary>
public sealed class Announcements(StateStore store, PolicyStore policy, IMachineRegistry machines, EventStreams streams, ILogger<Announcements> log)
{
    /// <summary>Whose machines are: those of VMs are not told of, their VMs are. Null: all are told of.</summary>
    public MachineOwners? Owners { get; init; }

    /// <summary>Runs until the token ends.</summary>
    public Task RunAsync(CancellationToken cancellation)
    {
        Note(policy.Current);
        return Task.WhenAll(GuardAsync(PolicyAsync, "policy announcements", cancellation), GuardAsync(MachinesAsync, "machine announcements", cancellation));
    }

    private async Task PolicyAsync(CancellationToken cancellation)
    {
        await foreach (var snapshot in policy.Changes.ReadAllAsync(cancellation))
        {
            Note(snapshot);
            // First the streams: what they may see changed, whether it can be told or not.
            streams.Recheck();
            await TellAsync(Event(snapshot));
        }
    }

    private async Task MachinesAsync(CancellationToken cancellation)
    {
        var seen = new Dictionary<string, bool>(StringComparer.Ordinal);
        await foreach (var change in machines.Changes.ReadAllAsync(cancellation))
        {
            if (await IsOursAsync(change, seen, cancellation))
            {
                continue;
            }
            await TellAsync(MgmtEvent.Global(change.Added ? "machine-new" : "machine-removed", ("machine", VmStarter.Ascii(change.Name))));
        }
    }

    /// <summary>Whether it is a VM's. Of a machine that is gone only what was seen when it came tells that; of one from before our time, its name.</summary>
    private async Task<bool> IsOursAsync(MachineChange change, Dictionary<string, bool> seen, CancellationToken cancellation)
    {
        if (Owners is null || HostMachineName.TryParse(change.Name) is not { } name)
        {
            return false;
        }
        if (!change.Added)
        {
            return seen.Remove(change.Name, out var was) ? was : MachineOwners.Named(store.Current, name) is not null;
        }
        return seen[change.Name] = await Owners.IsVmAsync(name, cancellation);
    }

    /// <summary>One that cannot be told does not hide those after it.</summary>
    private async Task TellAsync(MgmtEvent happened)
    {
        try
        {
            await store.ApplyAsync(change => change.Emit(happened), CancellationToken.None);
        }
        catch (MgmtException error)
        {
            Log.EventLost(log, happened.Name, error);
        }
    }

    private static MgmtEvent Event(PolicySnapshot snapshot) => snapshot.Errors.Count == 0
        ? MgmtEvent.Global("policy-loaded")
        : MgmtEvent.Global("policy-degraded", ("file", VmStarter.Ascii(snapshot.Errors[0].File)),
            ("line", snapshot.Errors[0].Line.ToString(System.Globalization.CultureInfo.InvariantCulture)), ("message", VmStarter.Ascii(snapshot.Errors[0].Message)));

    private void Note(PolicySnapshot snapshot)
    {
        foreach (var error in snapshot.Errors)
        {
            Log.PolicyProblem(log, error.File, error.Line, error.Message);
        }
        if (snapshot.Errors.Count == 0)
        {
            Log.PolicyLoaded(log, snapshot.Set.RuleCount, snapshot.Set.Files.Count);
        }
    }

    private async Task GuardAsync(Func<CancellationToken, Task> loop, string name, CancellationToken cancellation)
    {
        try
        {
            await loop(cancellation);
        }
        catch (OperationCanceledException)
        {
            // The daemon stops.
        }
        catch (Exception error)
        {
            Log.LoopFailed(log, name, error);
        }
    }
}
