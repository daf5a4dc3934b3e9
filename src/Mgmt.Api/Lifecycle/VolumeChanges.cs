using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Changes of what is recorded of volumes.</summary>
internal static class VolumeChanges
{
    /// <summary>Replaces what is recorded of a volume. ERRORS: QubesVMNotFoundError, QubesVolumeNotFoundError.</summary>
    internal static VolumeRecord SetVolume(this IStateTransaction change, VolumeAddress address, Func<VolumeRecord, VolumeRecord> with)
    {
        var (vm, volume) = address.In(change.State);
        var next = with(volume);
        change.PutVm(vm with { Volumes = vm.Volumes.SetItem(volume.Name, next) });
        return next;
    }

    /// <summary>Records how large a volume is; those that start as snapshots of it are so from then on.</summary>
    internal static void SetSize(this IStateTransaction change, VolumeAddress address, long sizeBytes)
    {
        var volume = change.SetVolume(address, v => v with { SizeBytes = sizeBytes });
        foreach (var vm in change.State.Vms.Values.ToList())
        {
            foreach (var snapshot in vm.Volumes.Values.Where(v => v is { SnapOnStart: true, SaveOnStop: false, Source: not null } && v.Pool == volume.Pool && v.Source == volume.Vid && v.SizeBytes != sizeBytes))
            {
                change.SetVolume(new(vm.Name, vm.Uuid, snapshot.Name), v => v with { SizeBytes = sizeBytes });
            }
        }
    }
}
