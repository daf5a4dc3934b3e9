using System.Text;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Devices.Tests;

/// <summary>A sysfs, proc and dev of files, in which a test makes what the machine does not have.</summary>
internal sealed class SysDouble : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("mgmt-sys-").FullName;

    internal SysDouble()
    {
        Write("proc/self/mountinfo", "");
        Write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    }

    internal HostDeviceOptions Options => new()
    {
        SysRoot = Path("sys"), ProcRoot = Path("proc"), DevRoot = Path("dev"), FollowKernel = false, ExportedFiles = [Path("exported"), Path("exported2")], OwnDirectories = ["/var/lib/mgmtd"],
    };

    internal string Path(string path) => System.IO.Path.Combine(_root, path);

    internal void Write(string path, string text) => WriteBytes(path, Encoding.Latin1.GetBytes(text));

    internal void WriteBytes(string path, byte[] bytes)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path(path))!);
        File.WriteAllBytes(Path(path), bytes);
    }

    /// <summary>A link that says where it leads as sysfs does, relative or not.</summary>
    internal void Link(string path, string target)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path(path))!);
        File.CreateSymbolicLink(Path(path), target);
    }

    /// <summary>A disk as the kernel shows it, in the directory that it really has.</summary>
    internal void Disk(string name, string number, long sectors = 2048, string where = "pci0000:00/0000:00:01.0", params string[] partitions)
    {
        var real = $"sys/devices/{where}/block/{name}";
        Write(real + "/size", $"{sectors}\n");
        Write(real + "/ro", "0\n");
        Write(real + "/dev", number + "\n");
        Directory.CreateDirectory(Path(real + "/holders"));
        for (var i = 0; i < partitions.Length; i++)
        {
            Write($"{real}/{partitions[i]}/partition", $"{i + 1}\n");
            Write($"{real}/{partitions[i]}/size", "1024\n");
            Write($"{real}/{partitions[i]}/ro", "0\n");
            Write($"{real}/{partitions[i]}/dev", $"{number.Split(':')[0]}:{int.Parse(number.Split(':')[1]) + i + 1}\n");
            Directory.CreateDirectory(Path($"{real}/{partitions[i]}/holders"));
        }
        Link($"sys/block/{name}", Path(real));
    }

    /// <summary>A USB device with one interface.</summary>
    internal void Usb(string port, string deviceClass = "00", string product = "Stick", string @interface = "080650")
    {
        var directory = $"sys/bus/usb/devices/{port}";
        Write(directory + "/bDeviceClass", deviceClass + "\n");
        Write(directory + "/idVendor", "1d6b\n");
        Write(directory + "/idProduct", "0104\n");
        Write(directory + "/product", product + "\n");
        Write(directory + "/busnum", "1\n");
        Write(directory + "/devnum", "4\n");
        Write(directory + "/dev", "189:3\n");
        Write($"{directory}:1.0/bInterfaceClass", @interface[..2] + "\n");
        Write($"{directory}:1.0/bInterfaceSubClass", @interface[2..4] + "\n");
        Write($"{directory}:1.0/bInterfaceProtocol", @interface[4..] + "\n");
    }

    /// <summary>A PCI function; driver and group null for none.</summary>
    internal void Pci(string location, string code, string? driver, string? group)
    {
        var directory = $"sys/bus/pci/devices/{location}";
        Write(directory + "/class", $"0x{code}\n");
        Write(directory + "/vendor", "0x8086\n");
        Write(directory + "/device", "0x10d3\n");
        if (driver is not null)
        {
            Link(directory + "/driver", "../../drivers/" + driver);
        }
        if (group is not null)
        {
            Link(directory + "/iommu_group", Path("sys/kernel/iommu_groups/" + group));
            Write($"sys/kernel/iommu_groups/{group}/devices/{location}", "");
        }
    }

    internal HostDevices Open(Func<HostDeviceOptions, HostDeviceOptions>? with = null) => new(with is null ? Options : with(Options), NullLogger<HostDevices>.Instance, TimeProvider.System);

    internal static IEnumerable<string> Ports(HostDevices host, DeviceClass deviceClass) => host.Devices.Values.Where(d => d.Address.Class == deviceClass).Select(d => d.Address.Port);

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
