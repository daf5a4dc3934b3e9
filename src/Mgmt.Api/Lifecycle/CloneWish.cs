using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>A VM that is to be a copy of another. Pools: all volumes in Pool, or single ones by PoolOf, else each where its original is.</summary>
public sealed record CloneWish(VmName Source, VmName Name, PoolName? Pool, ImmutableDictionary<VolumeName, PoolName> PoolOf)
{
    /// <summary>The volumes of the copy, empty so far. ERRORS: QubesPoolNotFoundError; QubesException for a snapshot in another pool than its source.</summary>
    internal ImmutableSortedDictionary<VolumeName, VolumeRecord> Volumes(HostState state, VmRecord source) =>
        source.Volumes.Values.Select(volume => Copy(state, source, volume)).ToImmutableSortedDictionary(v => v.Name, v => v);

    private VolumeRecord Copy(HostState state, VmRecord source, VolumeRecord volume)
    {
        if (volume.Name == VolumeName.Kernel)
        {
            return volume;
        }
        // A snapshot stays where its source is, whatever is wished for the others.
        var pool = PoolOf.TryGetValue(volume.Name, out var own) ? own : volume.SnapOnStart ? volume.Pool : Pool ?? volume.Pool;
        if (volume.SnapOnStart && pool != volume.Pool)
        {
            throw new MgmtException(ErrorCode.QubesException, "Volume %s is a snapshot of its template's and has to be in pool %s", volume.Name.Wire(), volume.Pool.Value);
        }
        return state.Pools.ContainsKey(pool)
            ? volume with { Pool = pool, Vid = VmBlueprint.VidOf(source.Class, Name, volume.Name) }
            : throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", pool.Value);
    }
}
