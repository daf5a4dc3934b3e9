using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>A kind of device, as data. The letter begins the codes of its interfaces. SOURCE: docs/devices.md.</summary>
public sealed record DeviceClass : IComparable<DeviceClass>
{
    private DeviceClass(string name, char letter)
    {
        Name = name;
        Letter = letter;
    }

    /// <summary>Disks: the host's, files of it, and volumes of VMs.</summary>
    public static DeviceClass Block { get; } = new("block", 'b');

    /// <summary>Microphones: what the host can record from.</summary>
    public static DeviceClass Mic { get; } = new("mic", 'm');

    /// <summary>Functions of PCI devices.</summary>
    public static DeviceClass Pci { get; } = new("pci", 'p');

    /// <summary>USB devices.</summary>
    public static DeviceClass Usb { get; } = new("usb", 'u');

    /// <summary>All, sorted.</summary>
    public static ImmutableArray<DeviceClass> All { get; } = [Block, Mic, Pci, Usb];

    /// <summary>Its name on the wire.</summary>
    public string Name { get; }

    /// <summary>What the codes of its interfaces begin with.</summary>
    public char Letter { get; }

    /// <summary>The code of an interface that nothing is known of.</summary>
    public string AnyInterface => Letter + "******";

    /// <summary>The class of that name. ERRORS: QubesValueError.</summary>
    public static DeviceClass Parse(string text)
    {
        foreach (var one in All)
        {
            if (one.Name == text)
            {
                return one;
            }
        }
        throw new MgmtException(ErrorCode.QubesValueError, "No such device class: '%s'", text);
    }

    /// <summary>By name.</summary>
    public int CompareTo(DeviceClass? other) => string.CompareOrdinal(Name, other?.Name);

    /// <summary>Its name.</summary>
    public override string ToString() => Name;
}
