using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>
/// What a host document says. Started names the VMs with <c>"state": "Running"</c>, sorted: they are to be started when the
/// host comes up; in the seed every VM but dom0 is halted.
/// </summary>
public sealed record HostDocumentContent(HostSeed Seed, ImmutableArray<VmName> Started, TestBehaviour Behaviour)
{
    /// <summary>The devices of the host.</summary>
    public ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Devices { get; init; } = ImmutableSortedDictionary<DeviceAddress, DeviceInfo>.Empty;
}
