using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>Everything the daemon knows, as one immutable value. Readers take a reference and need no lock.</summary>
public sealed record HostState
{
    /// <summary>Nothing at all.</summary>
    public static HostState Empty { get; } = new();

    /// <summary>The VMs by name, dom0 among them.</summary>
    public ImmutableSortedDictionary<VmName, VmRecord> Vms { get; init; } = ImmutableSortedDictionary<VmName, VmRecord>.Empty;
    /// <summary>Names by UUID.</summary>
    public ImmutableDictionary<Guid, VmName> NamesByUuid { get; init; } = ImmutableDictionary<Guid, VmName>.Empty;
    /// <summary>The labels by name.</summary>
    public ImmutableSortedDictionary<LabelName, Label> Labels { get; init; } = ImmutableSortedDictionary<LabelName, Label>.Empty;
    /// <summary>The storage pools by name.</summary>
    public ImmutableSortedDictionary<PoolName, PoolRecord> Pools { get; init; } = ImmutableSortedDictionary<PoolName, PoolRecord>.Empty;
    /// <summary>The global properties that were set.</summary>
    public ImmutableSortedDictionary<string, string> Properties { get; init; } = VmRecord.Empty;

    /// <summary>Volumes that are being made or removed: what belongs to no VM of them goes at the next start.</summary>
    public ImmutableSortedSet<VolumeInWork> VolumesInWork { get; init; } = [];

    /// <summary>The VM, or null.</summary>
    public VmRecord? Find(VmName name) => Vms.GetValueOrDefault(name);

    /// <summary>The VM. ERRORS: QubesVMNotFoundError.</summary>
    public VmRecord Get(VmName name) => Find(name) ?? throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", name.Value);

    /// <summary>The VM with that UUID, or null.</summary>
    public VmRecord? Find(Guid uuid) => NamesByUuid.TryGetValue(uuid, out var name) ? Find(name) : null;
}
