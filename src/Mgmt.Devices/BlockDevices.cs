using System.Globalization;
using System.Runtime.InteropServices;
using Mgmt.Core;

namespace Mgmt.Devices;

/// <summary>
/// Disks, partitions and loop devices that the host does not use. The port is the kernel's name. Never offered: what is made of others (dm, RAM, zram), and what lies on
/// files of the daemon's own. Opened with O_EXCL, which the kernel refuses for a device in use and which keeps the host from using it as long as a VM has it.
/// </summary>
internal sealed class BlockDevices(HostDeviceOptions options) : IHostClass
{
    private static readonly string[] Never = ["dm-", "ram", "zram", "nbd", "fd"];
    private const int SectorBytes = 512;

    private string Root => Path.Combine(options.SysRoot, "block");

    /// <inheritdoc/>
    public IEnumerable<DeviceInfo> List()
    {
        var use = HostUse.Read(options);
        foreach (var disk in SysTree.Names(Root).Where(name => DeviceAddress.IsPort(name) && !Array.Exists(Never, kind => name.StartsWith(kind, StringComparison.Ordinal))))
        {
            var directory = Path.Combine(Root, disk);
            if (Size(directory) == 0 || IsOwn(directory) || use.Has(disk, directory))
            {
                continue;
            }
            var partitions = HostUse.Partitions(directory).Where(DeviceAddress.IsPort).ToList();
            if (!partitions.Exists(name => use.Has(name, Path.Combine(directory, name))))
            {
                yield return Describe(disk, directory, directory, UsbOf(directory));
            }
            foreach (var partition in partitions.Where(name => Size(Path.Combine(directory, name)) > 0 && !use.Has(name, Path.Combine(directory, name))))
            {
                yield return Describe(partition, Path.Combine(directory, partition), directory, Address(disk));
            }
        }
    }

    /// <inheritdoc/>
    public IEnumerable<string> Problems() => Directory.Exists(Root) ? SysTree.Problems("disks", Root) : [$"disks cannot be listed: there is no directory {Root}"];

    /// <inheritdoc/>
    public OpenDevice? Open(DeviceInfo device, bool readOnly)
    {
        if (device.Address.Class != DeviceClass.Block || !device.Facts.TryGetValue("number", out var number))
        {
            return null;
        }
        var flags = (readOnly ? Libc.O_RDONLY : Libc.O_RDWR) | Libc.O_EXCL | Libc.O_NONBLOCK | Libc.O_NOFOLLOW | Libc.O_CLOEXEC;
        var file = Libc.Open(Path.Combine(options.DevRoot, device.Address.Port), flags, 0);
        if (file.IsInvalid)
        {
            throw Marshal.GetLastPInvokeError() is Libc.EBUSY
                ? new MgmtException(ErrorCode.QubesException, "The host uses %s", device.Address.Port)
                : new MgmtException(ErrorCode.MgmtUnavailableError, "%s cannot be opened: %s", device.Address.Port, Marshal.GetLastPInvokeErrorMessage());
        }
        if (FileStat.Of(file) is var stat && (!stat.IsBlockDevice || SysTree.DeviceNumber(stat.Node) != number))
        {
            file.Dispose();
            throw new MgmtException(ErrorCode.QubesException, "%s is another device than it was", device.Address.Port);
        }
        return new OpenDevice.Disk([new(file, "raw", readOnly)], readOnly);
    }

    private static DeviceInfo Describe(string name, string directory, string disk, DeviceAddress? parent)
    {
        var size = Size(directory);
        var readOnly = SysTree.Number(directory, "ro") is not 0;
        var backing = Path.GetFileName(SysTree.Text(disk, "loop", "backing_file"));
        var model = $"{SysTree.Text(disk, "device", "vendor")} {SysTree.Text(disk, "device", "model")}".Trim();
        return new DeviceInfo(Address(name))
        {
            Description = backing.Length > 0 ? backing : model.Length > 0 ? model : name,
            ReadOnly = readOnly, Parent = parent,
            Facts = VmRecord.Empty.Add("size", size.ToString(CultureInfo.InvariantCulture)).Add("mode", readOnly ? "r" : "w").Add("number", SysTree.Text(directory, "dev")),
        };
    }

    private bool IsOwn(string directory)
    {
        var backing = SysTree.Text(directory, "loop", "backing_file");
        return backing.Length > 0 && options.OwnDirectories.Any(own => backing.StartsWith(own.TrimEnd('/') + "/", StringComparison.Ordinal));
    }

    private static long Size(string directory) => (SysTree.Number(directory, "size") ?? 0) is var sectors and < long.MaxValue / SectorBytes ? sectors * SectorBytes : 0;

    private static DeviceAddress Address(string name) => DeviceAddress.Of(DeviceClass.Block, VmName.Dom0, name);

    /// <summary>The USB device that a disk is a part of, from where its directory really is.</summary>
    private static DeviceAddress? UsbOf(string directory)
    {
        var real = new DirectoryInfo(directory).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? "";
        return real.Split('/').LastOrDefault(UsbDevices.IsPort) is { } port ? DeviceAddress.Of(DeviceClass.Usb, VmName.Dom0, port) : null;
    }
}
