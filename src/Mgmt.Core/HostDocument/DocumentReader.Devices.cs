using System.Collections.Immutable;
using System.Globalization;

namespace Mgmt.Core;

/// <summary>
/// <code>
/// devices    = { CLASS: { PORT: { description?, size? (bytes), read_only?, shared?, vendor_id?, product_id?, serial?, interfaces?: [CODE], parent?: PORT of the class } } }
/// vm.devices = { CLASS: { BACKEND+PORT: { mode, device_id?, options? } } }
/// </code>
/// </summary>
internal sealed partial class DocumentReader
{
    private static ImmutableSortedDictionary<DeviceAddress, DeviceInfo> Devices(DocumentNode? node)
    {
        var devices = ImmutableSortedDictionary.CreateBuilder<DeviceAddress, DeviceInfo>();
        foreach (var kind in node?.Members() ?? [])
        {
            var deviceClass = kind.ParsedName(DeviceClass.Parse);
            foreach (var member in kind.Members())
            {
                var device = Device(member, deviceClass);
                devices.Add(device.Address, device);
            }
        }
        return devices.ToImmutable();
    }

    private static DeviceInfo Device(DocumentNode node, DeviceClass deviceClass)
    {
        var fields = node.Fields("description", "size", "read_only", "shared", "vendor_id", "product_id", "serial", "interfaces", "parent");
        var readOnly = fields.Find("read_only")?.Flag() ?? false;
        var device = new DeviceInfo(node.ParsedName(port => DeviceAddress.Of(deviceClass, VmName.Dom0, port)))
        {
            ReadOnly = readOnly, CanBeShared = fields.Find("shared")?.Flag() ?? false,
            Description = PrintableText(fields.Find("description")) ?? node.Name,
            VendorId = PrintableText(fields.Find("vendor_id")) ?? "0000", ProductId = PrintableText(fields.Find("product_id")) ?? "0000", Serial = PrintableText(fields.Find("serial")) ?? "",
            Parent = fields.Find("parent")?.Parsed(port => DeviceAddress.Of(deviceClass, VmName.Dom0, port)),
        };
        if (fields.Find("size") is { } size)
        {
            device = device with { Facts = device.Facts.Add("size", size.Number(0, long.MaxValue).ToString(CultureInfo.InvariantCulture)).Add("mode", readOnly ? "r" : "w") };
        }
        return fields.Find("interfaces") is { } interfaces
            ? device with { Interfaces = [.. interfaces.Items().Select(item => item.Text() is { Length: 7 } code ? code : throw item.Refuse("is not the code of an interface"))] }
            : device;
    }

    private static ImmutableSortedDictionary<DeviceAddress, DeviceAssignment> Assignments(DocumentNode? node)
    {
        var assignments = ImmutableSortedDictionary.CreateBuilder<DeviceAddress, DeviceAssignment>();
        foreach (var kind in node?.Members() ?? [])
        {
            var deviceClass = kind.ParsedName(DeviceClass.Parse);
            foreach (var member in kind.Members())
            {
                var fields = member.Fields("mode", "device_id", "options");
                var options = fields.Find("options") is { } given ? Texts(given, FeatureKey, Printable) : VmRecord.Empty;
                var address = member.ParsedName(text => text.Split('+') is [var backend, var port]
                    ? DeviceAddress.Of(deviceClass, VmName.Parse(backend), port)
                    : throw new MgmtException(ErrorCode.QubesValueError, "must be BACKEND+PORT"));
                assignments.Add(address, new(address, fields.Get("mode").Parsed(DeviceModes.Parse), Checked(member, deviceClass, options), PrintableText(fields.Find("device_id"))));
            }
        }
        return assignments.ToImmutable();
    }

    private static DeviceOptions Checked(DocumentNode node, DeviceClass deviceClass, ImmutableSortedDictionary<string, string> options)
    {
        try
        {
            return DeviceOptions.Parse(deviceClass, options);
        }
        catch (MgmtException error)
        {
            throw node.Refuse(error.Message);
        }
    }

    private static string? PrintableText(DocumentNode? node)
    {
        if (node?.Text() is not { } text)
        {
            return null;
        }
        Printable(node, text);
        return text;
    }
}
