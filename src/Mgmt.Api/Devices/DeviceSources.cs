using System.Globalization;

namespace Mgmt.Api;

/// <summary>
/// Where devices come from: the host (dom0), and as disks the kept volumes of VMs. Those are only read, and show what the volume held when its VM
/// last stopped, so that neither VM disturbs the other.
/// </summary>
internal sealed class DeviceSources(LifecycleServices services)
{
    /// <summary>What a VM has to give, sorted by port.</summary>
    internal IEnumerable<DeviceInfo> Of(VmRecord backend, DeviceClass deviceClass) => backend.Class == VmClass.AdminVM
        ? services.Devices.Devices.Values.Where(device => device.Address.Class == deviceClass)
        : deviceClass == DeviceClass.Block ? Volumes(backend) : [];

    /// <summary>The device at an address, or null.</summary>
    internal DeviceInfo? Find(HostState state, DeviceAddress address) => address.Backend == VmName.Dom0
        ? services.Devices.Devices.GetValueOrDefault(address)
        : state.Find(address.Backend) is { } backend ? Of(backend, address.Class).FirstOrDefault(device => device.Address == address) : null;

    /// <summary>Opens one. ERRORS: those of <see cref="IDeviceHost.OpenAsync"/> and of pools.</summary>
    internal async Task<OpenDevice> OpenAsync(DeviceInfo device, bool readOnly, CancellationToken cancellation)
    {
        if (device.Address.Backend == VmName.Dom0)
        {
            return await services.Devices.OpenAsync(device, readOnly, cancellation);
        }
        var volume = VolumeAddress.Of(services.Vm(device.Address.Backend), device.Address.Port).In(services.Store.Current).Volume;
        var open = await services.Pools.Get(volume.Pool).ExportAsync(volume, null, cancellation);
        return open.Layers.IsEmpty ? new OpenDevice.Imaginary() : new OpenDevice.Disk(open.Layers, true);
    }

    /// <summary>The VMs that have a device.</summary>
    internal static IEnumerable<VmName> Users(HostState state, DeviceAddress device) => state.Vms.Values.Where(vm => vm.Status.Devices.ContainsKey(device)).Select(vm => vm.Name);

    private static IEnumerable<DeviceInfo> Volumes(VmRecord backend) => backend.Volumes.Values.Where(volume => volume.SaveOnStop && volume.Vid is not null).Select(volume =>
        new DeviceInfo(DeviceAddress.Of(DeviceClass.Block, backend.Name, volume.Name.Wire()))
        {
            Description = $"volume {volume.Name.Wire()} of {backend.Name}", ReadOnly = true, CanBeShared = true,
            Facts = VmRecord.Empty.Add("mode", "r").Add("size", volume.SizeBytes.ToString(CultureInfo.InvariantCulture)),
        });
}
