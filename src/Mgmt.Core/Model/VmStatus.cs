using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>What a VM is doing. Only <see cref="Run"/> is kept on disk; the rest is found out anew.</summary>
public sealed record VmStatus
{
    /// <summary>A VM without a process.</summary>
    public static VmStatus Halted { get; } = new();

    /// <summary>The power state.</summary>
    public VmState State { get; init; } = VmState.Halted;
    /// <summary>The process, when there is or ought to be one.</summary>
    public VmRun? Run { get; init; }
    /// <summary>The guest agent.</summary>
    public AgentState Agent { get; init; } = AgentState.Absent;
    /// <summary>Since when the agent is in that state.</summary>
    public DateTimeOffset AgentSince { get; init; }
    /// <summary>The devices it has now.</summary>
    public ImmutableSortedDictionary<DeviceAddress, DeviceAttachment> Devices { get; init; } = ImmutableSortedDictionary<DeviceAddress, DeviceAttachment>.Empty;
    /// <summary>Words for what is wrong and does not stop it, such as <c>machined</c>; sorted.</summary>
    public ImmutableSortedSet<string> Faults { get; init; } = [];
}
