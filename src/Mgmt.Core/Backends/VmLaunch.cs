using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>All a backend needs to make a VM's process. Owns the open files until the backend takes them.</summary>
public sealed record VmLaunch : IDisposable
{
    /// <summary>The VM's name.</summary>
    public required VmName Name { get; init; }
    /// <summary>Its UUID, seen by the guest too.</summary>
    public required Guid Uuid { get; init; }
    /// <summary>Its small number; the process's uid is uid-base + qid.</summary>
    public required int Qid { get; init; }
    /// <summary>The id of this run.</summary>
    public required Guid StartGuid { get; init; }
    /// <summary>Virtual processors, at least 1.</summary>
    public required int VirtualProcessors { get; init; }
    /// <summary>Memory in MiB.</summary>
    public required int MemoryMiB { get; init; }
    /// <summary>The property virt_mode: <c>hvm</c>, <c>pvh</c> or <c>pv</c>.</summary>
    public required string VirtMode { get; init; }
    /// <summary>The kernel to boot, or null to boot from the root disk.</summary>
    public BootImage? Boot { get; init; }
    /// <summary>The kernel's command line (the property kernelopts); the backend adds its console.</summary>
    public string KernelOptions { get; init; } = "";
    /// <summary>The disks in the order the guest sees them.</summary>
    public required ImmutableArray<OpenVolume> Disks { get; init; }
    /// <summary>Whether the guest's console is kept in full.</summary>
    public bool Debug { get; init; }

    /// <summary>Closes the files that no backend took.</summary>
    public void Dispose()
    {
        Boot?.Dispose();
        foreach (var disk in Disks)
        {
            disk.Dispose();
        }
    }
}
