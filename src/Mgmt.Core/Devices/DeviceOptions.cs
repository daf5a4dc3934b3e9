namespace Mgmt.Core;

/// <summary>How a device is attached. All of them are for disks; other classes take none.</summary>
public sealed record DeviceOptions
{
    private const int MaxFrontendName = 20;

    /// <summary>None given.</summary>
    public static DeviceOptions None { get; } = new();

    /// <summary>Whether the VM may only read it; null: as the device can.</summary>
    public bool? ReadOnly { get; init; }

    /// <summary>The name the guest finds the disk by, its serial number; empty: from its port.</summary>
    public string FrontendName { get; init; } = "";

    /// <summary>Attached as a USB disk, for guests without virtio.</summary>
    public bool OnUsb { get; init; }

    /// <summary>The options as they are kept and written: <c>bus</c>, <c>frontend-dev</c>, <c>read-only</c> (<c>yes</c>, <c>no</c>).</summary>
    public IEnumerable<KeyValuePair<string, string>> Pairs
    {
        get
        {
            if (OnUsb)
            {
                yield return new("bus", "usb");
            }
            if (FrontendName.Length > 0)
            {
                yield return new("frontend-dev", FrontendName);
            }
            if (ReadOnly is { } readOnly)
            {
                yield return new("read-only", readOnly ? "yes" : "no");
            }
        }
    }

    /// <summary>
    /// Reads options: those above, <c>ro</c> (the same as read-only), <c>bus=virtio</c>. ERRORS: ProtocolError for one that is unknown, given twice,
    /// or not for this class; QubesValueError for a value.
    /// </summary>
    public static DeviceOptions Parse(DeviceClass deviceClass, IEnumerable<KeyValuePair<string, string>> pairs)
    {
        var options = None;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (given, value) in pairs)
        {
            var key = given == "ro" ? "read-only" : given;
            if (deviceClass != DeviceClass.Block || key is not ("read-only" or "frontend-dev" or "bus"))
            {
                throw new MgmtException(ErrorCode.ProtocolError, "Devices of class %s have no such option: '%s'", deviceClass.Name, given);
            }
            if (!seen.Add(key))
            {
                throw new MgmtException(ErrorCode.ProtocolError, "Option %s is given twice", key);
            }
            options = options.With(key, value);
        }
        return options;
    }

    private DeviceOptions With(string key, string value) => key switch
    {
        "read-only" => this with { ReadOnly = Core.Parse.Boolean(value, key) },
        "bus" => this with { OnUsb = value == "usb" || (value == "virtio" ? false : throw new MgmtException(ErrorCode.QubesValueError, "bus is virtio or usb")) },
        _ => value.Length is > 0 and <= MaxFrontendName && Charset.IsAll(value, Charset.Word)
            ? this with { FrontendName = value }
            : throw new MgmtException(ErrorCode.QubesValueError, "frontend-dev is 1 to 20 letters, digits, _ . -"),
    };
}
