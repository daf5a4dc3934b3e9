using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>How the VMs of a test host behave. SOURCE: docs/test-host.md, "Behaviour".</summary>
public sealed record TestBehaviour
{
    /// <summary>VMs that answer at once and never fail.</summary>
    public static TestBehaviour None { get; } = new();

    /// <summary>What counts for VMs that say nothing themselves, and for those made later.</summary>
    public VmBehaviour Default { get; init; } = VmBehaviour.None;

    /// <summary>The VMs that say something themselves, with the default already merged in.</summary>
    public ImmutableSortedDictionary<VmName, VmBehaviour> Vms { get; init; } = ImmutableSortedDictionary<VmName, VmBehaviour>.Empty;

    /// <summary>What counts for a VM.</summary>
    public VmBehaviour For(VmName name) => Vms.GetValueOrDefault(name) ?? Default;
}
