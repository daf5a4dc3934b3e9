using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>All that is known of a VM. Immutable: a change makes a new one.</summary>
public sealed record VmRecord
{
    /// <summary>Its name.</summary>
    public required VmName Name { get; init; }
    /// <summary>Its class.</summary>
    public required VmClass Class { get; init; }
    /// <summary>A small number of its own; 0 is dom0. Its process's uid derives from it.</summary>
    public required int Qid { get; init; }
    /// <summary>Its id for ever.</summary>
    public required Guid Uuid { get; init; }
    /// <summary>The properties that were set, by name, as wire text; a property at its default is not here.</summary>
    public ImmutableSortedDictionary<string, string> Properties { get; init; } = Empty;
    /// <summary>Its features by name.</summary>
    public ImmutableSortedDictionary<string, string> Features { get; init; } = Empty;
    /// <summary>Its tags.</summary>
    public ImmutableSortedSet<TagName> Tags { get; init; } = [];
    /// <summary>Its volumes.</summary>
    public ImmutableSortedDictionary<VolumeName, VolumeRecord> Volumes { get; init; } = ImmutableSortedDictionary<VolumeName, VolumeRecord>.Empty;
    /// <summary>The devices it is to have.</summary>
    public ImmutableSortedDictionary<DeviceAddress, DeviceAssignment> Assignments { get; init; } = ImmutableSortedDictionary<DeviceAddress, DeviceAssignment>.Empty;
    /// <summary>What people wrote down about it, of any characters; empty for nothing.</summary>
    public string Notes { get; init; } = "";
    /// <summary>What it is doing.</summary>
    public VmStatus Status { get; init; } = VmStatus.Halted;

    /// <summary>No entries, ordered by code point: where property and feature dictionaries start.</summary>
    public static ImmutableSortedDictionary<string, string> Empty { get; } = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>A property that was set, or null.</summary>
    public string? Property(string name) => Properties.GetValueOrDefault(name);

    /// <summary>The record with a property set (or, with null, back at its default).</summary>
    public VmRecord WithProperty(string name, string? value) =>
        this with { Properties = value is null ? Properties.Remove(name) : Properties.SetItem(name, value) };
}
