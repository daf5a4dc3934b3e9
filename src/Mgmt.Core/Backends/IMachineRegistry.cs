using System.Threading.Channels;

namespace Mgmt.Core;

/// <summary>The host's registry of machines (systemd-machined). Missing or slow it is a degraded mark, never a gate.</summary>
public interface IMachineRegistry : IAsyncDisposable
{
    /// <summary>Whether it answers, from memory.</summary>
    MachineRegistryStatus Status { get; }

    /// <summary>
    /// Puts a process into a scope of its own: registered as a machine, else as a transient unit, else nothing.
    /// Takes at most its deadline (1 s) in all and never throws for a registry that is absent, slow or refuses.
    /// </summary>
    Task<MachineScope> PlaceAsync(MachineRequest request, CancellationToken cancellation);

    /// <summary>Whether a machine of that name is registered with that UUID and leader. Null when the registry does not answer.</summary>
    Task<bool?> OwnsAsync(string machine, Guid uuid, int leaderPid, CancellationToken cancellation);

    /// <summary>Machines that come and go, ours and others; bounded, oldest dropped.</summary>
    ChannelReader<MachineChange> Changes { get; }

    /// <summary>The newest status each time its state changed; one unread at most. One reader.</summary>
    ChannelReader<MachineRegistryStatus> StatusChanges { get; }
}

/// <summary>A process to place: the VM's qid, name and UUID, and the pid that leads it.</summary>
public sealed record MachineRequest(int Qid, VmName Name, Guid Uuid, int LeaderPid);

/// <summary>Where a process was placed. Name is the machine or unit, empty for none; Degraded says why it is not a machine.</summary>
public sealed record MachineScope(MachineScopeKind Kind, string Name, string? Degraded);

/// <summary>How a process was placed.</summary>
public enum MachineScopeKind
{
    /// <summary>Registered as a machine, in its scope.</summary>
    Machine,
    /// <summary>In a transient scope unit, unknown to the registry of machines.</summary>
    Unit,
    /// <summary>Nowhere: in the daemon's own control group, its own session.</summary>
    None,
}

/// <summary>The registry's health. State is <c>ok</c>, <c>absent</c>, <c>slow</c> or <c>off</c>; Detail says more.</summary>
public sealed record MachineRegistryStatus(string State, string Detail, DateTimeOffset Since);

/// <summary>A machine appeared (Added) or went away.</summary>
public sealed record MachineChange(string Name, bool Added);
