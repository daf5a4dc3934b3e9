using System.Collections.Immutable;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// What keeps files of volumes from being forgotten: a volume is written down in the store before its first file is made and before its VM lets
/// go of it, and taken back when a VM names it or it is gone. What an earlier daemon left written down is removed at start, and nothing else ever is.
/// Made before anything is served. SOURCE: docs/storage.md, "Undo".
/// </summary>
public sealed class UnfinishedVolumes(LifecycleServices services)
{
    // One leftover at a time, so that a creation and the clean-up at start never remove the same one.
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _lock = new();
    // Guarded by _lock: those that no operation of this daemon has in work.
    private ImmutableSortedSet<VolumeInWork> _left = services.Store.Current.VolumesInWork;

    /// <summary>Removes what an earlier daemon left, one after the other. One that cannot be removed now stays written down for the next start.</summary>
    public async Task RemoveLeftoversAsync(CancellationToken cancellation)
    {
        foreach (var volume in Left)
        {
            try
            {
                await RemoveLeftoverAsync(volume, cancellation);
            }
            catch (Exception error) when (!cancellation.IsCancellationRequested)
            {
                Log.VolumeLeft(services.Log, volume.Vid.Value, volume.Pool, error);
            }
        }
    }

    /// <summary>
    /// Writes down the volumes that are about to be made, after anything that is left of their names is gone. ERRORS: StoragePoolException when one is
    /// there already, MgmtBusyError when it is in work, those of the pools.
    /// </summary>
    internal async Task BeginAsync(ImmutableArray<VolumeInWork> volumes, CancellationToken cancellation)
    {
        foreach (var volume in volumes)
        {
            await RemoveLeftoverAsync(volume, cancellation);
            // What is there and not ours must not be written down: it would be removed.
            if (services.Pools.Get(volume.Pool).Volumes.Contains(volume.Vid))
            {
                throw Exists(volume);
            }
        }
        await services.Store.ApplyAsync(change =>
        {
            foreach (var volume in volumes)
            {
                Check(change.State, volume);
                change.AddVolumeInWork(volume);
            }
        }, CancellationToken.None);
    }

    /// <summary>Takes back what was written down of volumes that have no files any more; the others are left to the next start.</summary>
    internal async Task EndAsync(IReadOnlyCollection<VolumeInWork> gone, IReadOnlyCollection<VolumeInWork> left)
    {
        lock (_lock)
        {
            _left = _left.Union(left);
        }
        await services.Store.ApplyAsync(change =>
        {
            foreach (var volume in gone)
            {
                change.RemoveVolumeInWork(volume);
            }
        }, CancellationToken.None);
    }

    /// <summary>Removes volumes that are written down, as far as their pools can, and takes back what was written.</summary>
    internal async Task RemoveAsync(IReadOnlyCollection<VolumeInWork> volumes)
    {
        var gone = new List<VolumeInWork>();
        foreach (var volume in volumes)
        {
            try
            {
                await services.Pools.Get(volume.Pool).RemoveAsync(Record(volume), CancellationToken.None);
                gone.Add(volume);
            }
            catch (Exception error)
            {
                Log.VolumeLeft(services.Log, volume.Vid.Value, volume.Pool, error);
            }
        }
        await EndAsync(gone, [.. volumes.Except(gone)]);
    }

    /// <summary>What is written down for the volumes of a VM.</summary>
    internal static ImmutableArray<VolumeInWork> Of(IEnumerable<VolumeRecord> volumes) =>
        [.. volumes.Where(v => v.Name != VolumeName.Kernel && v.Vid is not null).Select(v => new VolumeInWork(v.Pool, v.Vid!.Value))];

    private ImmutableSortedSet<VolumeInWork> Left
    {
        get
        {
            lock (_lock)
            {
                return _left;
            }
        }
    }

    private async Task RemoveLeftoverAsync(VolumeInWork volume, CancellationToken cancellation)
    {
        if (!Left.Contains(volume))
        {
            return;
        }
        await _turn.WaitAsync(cancellation);
        try
        {
            if (!Left.Contains(volume))
            {
                return;
            }
            // A volume that a VM names is whole; a pool that is not configured any more has nothing of ours.
            if (!IsNamed(services.Store.Current, volume) && services.Store.Current.Pools.ContainsKey(volume.Pool))
            {
                await services.Pools.Get(volume.Pool).RemoveAsync(Record(volume), cancellation);
                Log.LeftoverRemoved(services.Log, volume.Vid.Value, volume.Pool);
            }
            await services.Store.ApplyAsync(change => change.RemoveVolumeInWork(volume), CancellationToken.None);
            lock (_lock)
            {
                _left = _left.Remove(volume);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    private static void Check(HostState state, VolumeInWork volume)
    {
        // It may have been removed since it was found.
        if (!state.Pools.ContainsKey(volume.Pool))
        {
            throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", volume.Pool.Value);
        }
        if (state.VolumesInWork.Contains(volume))
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "Volume %s is being made or removed", volume.Vid.Value);
        }
        if (IsNamed(state, volume))
        {
            throw Exists(volume);
        }
    }

    private static bool IsNamed(HostState state, VolumeInWork volume) =>
        state.Vms.Values.Any(vm => vm.Volumes.Values.Any(v => v.Name != VolumeName.Kernel && v.Pool == volume.Pool && v.Vid == volume.Vid));

    private static MgmtException Exists(VolumeInWork volume) => new(ErrorCode.StoragePoolException, "Volume %s exists already", volume.Vid.Value);

    /// <summary>To remove a volume a pool needs its id.</summary>
    private static VolumeRecord Record(VolumeInWork volume) => new()
    {
        Name = VolumeName.Private, Pool = volume.Pool, Vid = volume.Vid, SizeBytes = 0, Writable = true, SaveOnStop = true, SnapOnStart = false,
    };
}
