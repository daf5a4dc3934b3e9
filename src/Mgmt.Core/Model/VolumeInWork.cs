namespace Mgmt.Core;

/// <summary>
/// A volume whose files may be there while no VM names it: written down before the first file is made and before a VM that is removed lets go
/// of it, taken back when it belongs to a VM or is gone. SOURCE: docs/storage.md, "Undo".
/// </summary>
public readonly record struct VolumeInWork(PoolName Pool, Vid Vid) : IComparable<VolumeInWork>
{
    /// <summary>By pool, then by id.</summary>
    public int CompareTo(VolumeInWork other) => Pool.CompareTo(other.Pool) is var byPool and not 0 ? byPool : Vid.CompareTo(other.Vid);
}
