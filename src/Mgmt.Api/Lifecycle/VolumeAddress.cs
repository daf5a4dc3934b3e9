namespace Mgmt.Api;

/// <summary>A volume of a VM as a call found it. The UUID keeps a VM that was made later under the same name from being taken for it.</summary>
public sealed record VolumeAddress(VmName Vm, Guid Uuid, VolumeName Volume)
{
    /// <summary>The volume of a VM that a call names. ERRORS: QubesVolumeNotFoundError.</summary>
    public static VolumeAddress Of(VmRecord vm, string volume) =>
        VolumeNames.TryParse(volume) is { } name && vm.Volumes.ContainsKey(name) ? new(vm.Name, vm.Uuid, name) : throw NotFound(vm.Name, volume);

    /// <summary>The volume with an id in a pool, or null. A kernel is many VMs' and nobody's.</summary>
    public static VolumeAddress? Find(HostState state, PoolName pool, string vid)
    {
        foreach (var vm in state.Vms.Values)
        {
            foreach (var volume in vm.Volumes.Values)
            {
                if (volume.Name != VolumeName.Kernel && volume.Pool == pool && volume.Vid?.Value == vid)
                {
                    return new(vm.Name, vm.Uuid, volume.Name);
                }
            }
        }
        return null;
    }

    /// <summary>The VM and the volume as they are now. ERRORS: QubesVMNotFoundError, QubesVolumeNotFoundError.</summary>
    public (VmRecord Vm, VolumeRecord Volume) In(HostState state)
    {
        var vm = state.Get(Vm);
        if (vm.Uuid != Uuid)
        {
            throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", Vm.Value);
        }
        return vm.Volumes.TryGetValue(Volume, out var volume) ? (vm, volume) : throw NotFound(Vm, Volume.Wire());
    }

    private static MgmtException NotFound(VmName vm, string volume) => new(ErrorCode.QubesVolumeNotFoundError, "No such volume of %s: '%s'", vm.Value, volume);
}
