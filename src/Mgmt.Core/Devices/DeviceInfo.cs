using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>
/// A device that can be given to a VM, as it is now. What the device itself says (vendor, product, serial) is text for people and for
/// comparing, printable ASCII and short: nothing is found or allowed by it.
/// </summary>
public sealed record DeviceInfo(DeviceAddress Address)
{
    /// <summary>What it is, for people.</summary>
    public string Description { get; init; } = "";

    /// <summary>The vendor's and product's numbers, four hexadecimal digits each.</summary>
    public string VendorId { get; init; } = "0000";

    /// <inheritdoc cref="VendorId"/>
    public string ProductId { get; init; } = "0000";

    /// <summary>The serial number it claims, letters, digits, <c>_ . -</c>; or empty.</summary>
    public string Serial { get; init; } = "";

    /// <summary>Names it claims: <c>vendor</c>, <c>product</c>, <c>manufacturer</c>, <c>name</c>.</summary>
    public ImmutableSortedDictionary<string, string> Names { get; init; } = VmRecord.Empty;

    /// <summary>The codes of its interfaces, seven characters each; never empty.</summary>
    public ImmutableArray<string> Interfaces { get; init; } = [Address.Class.AnyInterface];

    /// <summary>Facts of its class, such as <c>size</c> (bytes), <c>mode</c> (<c>r</c> or <c>w</c>), <c>iommu-group</c>.</summary>
    public ImmutableSortedDictionary<string, string> Facts { get; init; } = VmRecord.Empty;

    /// <summary>The device it is a part of, such as a partition's disk; who has one of them has the other.</summary>
    public DeviceAddress? Parent { get; init; }

    /// <summary>Whether it can be read only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether several VMs may have it at once as long as each only reads it.</summary>
    public bool CanBeShared { get; init; }

    /// <summary>Who it claims to be: <c>VENDOR:PRODUCT:SERIAL:INTERFACES</c>.</summary>
    public string DeviceId => $"{VendorId}:{ProductId}:{Serial}:{string.Concat(Interfaces)}";
}
