using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Mgmt.Core;

namespace Mgmt.Devices;

/// <summary>USB devices by the port they are plugged into, such as <c>1-2.3</c>; no hubs, and nothing that holds a disk which the host uses.</summary>
internal sealed partial class UsbDevices(HostDeviceOptions options) : IHostClass
{
    private const string HubClass = "09";
    private const int MaxInterfaces = 32;

    private string Root => Path.Combine(options.SysRoot, "bus", "usb", "devices");

    /// <inheritdoc/>
    public IEnumerable<DeviceInfo> List()
    {
        var names = SysTree.Names(Root);
        var inUse = PortsInUse();
        foreach (var port in names.Where(name => IsPort(name) && DeviceAddress.IsPort(name) && !inUse.Contains(name)))
        {
            var directory = Path.Combine(Root, port);
            if (SysTree.Hex(2, directory, "bDeviceClass") is null or HubClass || SysTree.Hex(4, directory, "idVendor") is not { } vendor || SysTree.Hex(4, directory, "idProduct") is not { } product)
            {
                continue;
            }
            yield return Describe(port, directory, vendor, product, names);
        }
    }

    /// <inheritdoc/>
    public IEnumerable<string> Problems() => SysTree.Problems("USB devices", Root);

    /// <inheritdoc/>
    public OpenDevice? Open(DeviceInfo device, bool readOnly)
    {
        if (device.Address.Class != DeviceClass.Usb)
        {
            return null;
        }
        var directory = Path.Combine(Root, device.Address.Port);
        if (SysTree.Number(directory, "busnum") is not { } bus || SysTree.Number(directory, "devnum") is not { } number)
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is not there any more", device.Address.Port);
        }
        var path = Path.Combine(options.DevRoot, "bus", "usb", bus.ToString("D3"), number.ToString("D3"));
        var node = Libc.Open(path, Libc.O_RDWR | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (node.IsInvalid)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s cannot be opened: %s", device.Address.Port, Marshal.GetLastPInvokeErrorMessage());
        }
        if (FileStat.Of(node) is var stat && (!stat.IsCharacterDevice || SysTree.DeviceNumber(stat.Node) != SysTree.Text(directory, "dev")))
        {
            node.Dispose();
            throw new MgmtException(ErrorCode.QubesException, "%s is another device than it was", device.Address.Port);
        }
        return new OpenDevice.UsbDevice(node);
    }

    /// <summary>Whether a name is that of a port with a device, neither of a root hub (<c>usb1</c>) nor of an interface (<c>1-2:1.0</c>).</summary>
    internal static bool IsPort(string name) => PortName().IsMatch(name);

    private static DeviceInfo Describe(string port, string directory, string vendor, string product, IReadOnlyList<string> names)
    {
        var interfaces = names.Where(name => name.StartsWith(port + ":", StringComparison.Ordinal)).Take(MaxInterfaces).Select(name => Interface(Path.Combine(Path.GetDirectoryName(directory)!, name))).OfType<string>();
        var claimed = VmRecord.Empty;
        foreach (var name in new[] { "manufacturer", "product" })
        {
            var text = SysTree.Text(directory, name);
            claimed = text.Length > 0 ? claimed.Add(name, text) : claimed;
        }
        var serial = SysTree.Text(directory, "serial");
        var info = new DeviceInfo(DeviceAddress.Of(DeviceClass.Usb, VmName.Dom0, port))
        {
            VendorId = vendor, ProductId = product, Names = claimed,
            Serial = serial.Length <= 64 && Charset.IsAll(serial, Charset.Word) ? serial : "",
            Description = claimed.IsEmpty ? $"{vendor}:{product}" : string.Join(' ', claimed.Values),
            Facts = VmRecord.Empty.Add("number", SysTree.Text(directory, "dev")),
        };
        return interfaces.Order(StringComparer.Ordinal).Distinct().ToList() is { Count: > 0 } known ? info with { Interfaces = [.. known] } : info;
    }

    private static string? Interface(string directory) =>
        SysTree.Hex(2, directory, "bInterfaceClass") is { } one && SysTree.Hex(2, directory, "bInterfaceSubClass") is { } two && SysTree.Hex(2, directory, "bInterfaceProtocol") is { } three
            ? $"u{one}{two}{three}"
            : null;

    private HashSet<string> PortsInUse()
    {
        var use = HostUse.Read(options);
        var root = Path.Combine(options.SysRoot, "block");
        var ports = new HashSet<string>(StringComparer.Ordinal);
        foreach (var disk in SysTree.Names(root).Where(use.HasAnyOf))
        {
            ports.UnionWith((new DirectoryInfo(Path.Combine(root, disk)).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? "").Split('/').Where(IsPort));
        }
        return ports;
    }

    [GeneratedRegex(@"^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}$", RegexOptions.CultureInvariant)]
    private static partial Regex PortName();
}
