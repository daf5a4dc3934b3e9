namespace Mgmt.Core;

/// <summary>What is configured of a VM's volume. What a disk holds right now is asked of the pool.</summary>
public sealed record VolumeRecord
{
    /// <summary>Which of the VM's volumes.</summary>
    public required VolumeName Name { get; init; }
    /// <summary>The pool it lives in.</summary>
    public required PoolName Pool { get; init; }
    /// <summary>Its id in that pool. Null for a kernel volume of a VM that boots its own kernel.</summary>
    public required Vid? Vid { get; init; }
    /// <summary>Virtual size in bytes.</summary>
    public required long SizeBytes { get; init; }
    /// <summary>Writable by the VM.</summary>
    public required bool Writable { get; init; }
    /// <summary>What the VM wrote is kept when it stops.</summary>
    public required bool SaveOnStop { get; init; }
    /// <summary>Made at each start as a snapshot of <see cref="Source"/>.</summary>
    public required bool SnapOnStart { get; init; }
    /// <summary>The volume (same pool) that snapshots start from.</summary>
    public Vid? Source { get; init; }
    /// <summary>How many revisions are kept; -1 runs on the volume itself. Null: as the pool says.</summary>
    public int? RevisionsToKeep { get; init; }
    /// <summary>Encrypted with a key that is thrown away.</summary>
    public bool Ephemeral { get; init; }
}
