using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>
/// The id that an attached device has in QEMU. It says all there is to know of the attachment, so that a later daemon reads it from there.
/// SHAPE: <c>mgmt-device-SLOT-CLASS-MODE-BUS-N-M-BACKEND-PORT-FRONTEND</c>, N and M the lengths of BACKEND and PORT; MODE is r, w or n (not said), BUS u or v.
/// </summary>
internal sealed record DeviceTag(int Slot, DeviceAttachment Attachment)
{
    private const string Prefix = "mgmt-device-";
    private const string NodeMark = "mgmt-dev-";
    private const int SlotDigits = 3;
    private const int Words = 6;

    /// <summary>From here on places are on USB and take no PCIe port.</summary>
    internal const int FirstUsbSlot = 100;

    /// <summary>What the names of all nodes and descriptors of a place begin with; a node's name has at most 31 characters.</summary>
    public static string NodePrefix(int slot) => string.Create(CultureInfo.InvariantCulture, $"{NodeMark}{slot:D3}");

    /// <summary>The place that the name of a node or descriptor belongs to; null for others.</summary>
    public static int? SlotOf(string name) =>
        name.StartsWith(NodeMark, StringComparison.Ordinal) && name.Length >= NodeMark.Length + SlotDigits && int.TryParse(name.AsSpan(NodeMark.Length, SlotDigits), NumberStyles.None, CultureInfo.InvariantCulture, out var slot)
            ? slot
            : null;

    /// <summary>The id.</summary>
    public string Id
    {
        get
        {
            var (device, options) = (Attachment.Device, Attachment.Options);
            var mode = options.ReadOnly switch { true => 'r', false => 'w', null => 'n' };
            return string.Create(CultureInfo.InvariantCulture,
                $"{Prefix}{Slot}-{device.Class.Name}-{mode}-{(options.OnUsb ? 'u' : 'v')}-{device.Backend.Value.Length}-{device.Port.Length}-{device.Backend}-{device.Port}-{options.FrontendName}");
        }
    }

    /// <summary>Reads an id; null for what is none of ours.</summary>
    public static DeviceTag? TryParse(string id)
    {
        if (!id.StartsWith(Prefix, StringComparison.Ordinal) || id[Prefix.Length..].Split('-', Words + 1) is not [var slot, var name, var mode, var bus, var n, var m, var rest])
        {
            return null;
        }
        try
        {
            var (backend, port) = (int.Parse(n, CultureInfo.InvariantCulture), int.Parse(m, CultureInfo.InvariantCulture));
            var device = DeviceAddress.Of(DeviceClass.Parse(name), VmName.Parse(rest[..backend]), rest.Substring(backend + 1, port));
            var options = new DeviceOptions { ReadOnly = mode switch { "r" => true, "w" => false, _ => null }, OnUsb = bus == "u", FrontendName = rest[(backend + port + 2)..] };
            return new(int.Parse(slot, CultureInfo.InvariantCulture), new(device, options));
        }
        catch (Exception e) when (e is MgmtException or FormatException or OverflowException or ArgumentOutOfRangeException)
        {
            return null;
        }
    }
}
