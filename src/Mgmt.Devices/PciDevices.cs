using Mgmt.Core;

namespace Mgmt.Devices;

/// <summary>
/// PCI functions that no driver of the host has, or vfio-pci; no bridges. The port is the address with <c>_</c> for <c>:</c>, such as <c>0000_00_1f.2</c>.
/// One is given away only when it and all that share its IOMMU group are with vfio-pci, which the administrator sees to.
/// </summary>
internal sealed class PciDevices(HostDeviceOptions options) : IHostClass
{
    private const string Vfio = "vfio-pci";
    private const string BridgeClass = "06";

    private string Root => Path.Combine(options.SysRoot, "bus", "pci", "devices");

    /// <inheritdoc/>
    public IEnumerable<DeviceInfo> List()
    {
        foreach (var location in SysTree.Names(Root))
        {
            var directory = Path.Combine(Root, location);
            var port = location.Replace(':', '_');
            if (!DeviceAddress.IsPort(port) || SysTree.Hex(6, directory, "class") is not { } code || code.StartsWith(BridgeClass, StringComparison.Ordinal)
                || SysTree.Hex(4, directory, "vendor") is not { } vendor || SysTree.Hex(4, directory, "device") is not { } product
                || SysTree.LinkName(Path.Combine(directory, "driver")) is not (null or Vfio))
            {
                continue;
            }
            yield return new DeviceInfo(DeviceAddress.Of(DeviceClass.Pci, VmName.Dom0, port))
            {
                VendorId = vendor, ProductId = product, Interfaces = ["p" + code], Description = $"{vendor}:{product} class {code}",
                Facts = VmRecord.Empty.Add("driver", SysTree.LinkName(Path.Combine(directory, "driver")) ?? "none").Add("iommu-group", SysTree.LinkName(Path.Combine(directory, "iommu_group")) ?? "none"),
            };
        }
    }

    /// <inheritdoc/>
    public IEnumerable<string> Problems() => SysTree.Problems("PCI functions", Root);

    /// <inheritdoc/>
    public OpenDevice? Open(DeviceInfo device, bool readOnly)
    {
        if (device.Address.Class != DeviceClass.Pci)
        {
            return null;
        }
        var location = SysTree.Names(Root).FirstOrDefault(name => name.Replace(':', '_') == device.Address.Port)
            ?? throw new MgmtException(ErrorCode.QubesException, "%s is not there any more", device.Address.Port);
        var directory = Path.Combine(Root, location);
        if (SysTree.LinkName(Path.Combine(directory, "iommu_group")) is not { } group)
        {
            throw new MgmtException(ErrorCode.MgmtUnsupportedError, "%s is in no IOMMU group: this host cannot keep a VM that has it from all of its memory", device.Address.Port);
        }
        foreach (var member in SysTree.Names(Path.Combine(directory, "iommu_group", "devices")).Append(location).Distinct())
        {
            var driver = SysTree.LinkName(Path.Combine(Root, member, "driver")) ?? "none";
            if (driver != Vfio && SysTree.Hex(6, Root, member, "class")?.StartsWith(BridgeClass, StringComparison.Ordinal) != true)
            {
                throw new MgmtException(ErrorCode.MgmtUnsupportedError, "IOMMU group %s is not free: %s is with driver %s and not vfio-pci", group, member, driver);
            }
        }
        return new OpenDevice.PciFunction(location);
    }
}
