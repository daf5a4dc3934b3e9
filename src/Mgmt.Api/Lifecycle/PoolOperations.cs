using System.Collections.Immutable;
using System.Globalization;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>What callers do to pools. Adding, removing and settings go one after the other.</summary>
public sealed class PoolOperations(LifecycleServices services)
{
    private static readonly string[] Defaults = ["default_pool", "default_pool_root", "default_pool_private", "default_pool_volatile", "default_pool_kernel"];
    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <summary>A pool at work. ERRORS: QubesPoolNotFoundError, MgmtUnavailableError when it could not be opened.</summary>
    public IStoragePool Get(PoolName name) => services.Pools.Get(name);

    /// <summary>
    /// Opens a pool and enters it. ERRORS: QubesException (it exists, a parameter is missing), QubesPoolNotFoundError (no such driver), ProtocolError (a parameter that the driver does not
    /// take), StoragePoolException with the driver's reason.
    /// </summary>
    public async Task AddAsync(PoolName name, string driverName, IReadOnlyDictionary<string, string> config, CancellationToken cancellation)
    {
        var driver = services.Pools.Drivers.GetValueOrDefault(driverName) ?? throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool driver: '%s'", driverName);
        Check(driver, config);
        var record = new PoolRecord(name, driverName, config.ToImmutableSortedDictionary(StringComparer.Ordinal));
        await _turn.WaitAsync(cancellation);
        try
        {
            RequireFree(services.Store.Current, name);
            await using var opening = new Opening(await driver.OpenAsync(record, cancellation));
            await services.Store.ApplyAsync(change =>
            {
                RequireFree(change.State, name);
                change.PutPool(record);
                change.Emit(MgmtEvent.Global("pool-add", ("pool", name.Value)));
            }, CancellationToken.None);
            services.Pools.Add(name, opening.Take());
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Forgets a pool that no volume and no default_pool* property uses. Its files stay. ERRORS: QubesPoolNotFoundError, QubesPoolInUseError.</summary>
    public async Task RemoveAsync(PoolName name, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            var veto = await services.Store.ApplyAsync(change => TakeOut(change, name), CancellationToken.None);
            if (veto is not null)
            {
                throw veto;
            }
            await services.Pools.RemoveAsync(name);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Changes a setting, which is in force at once. ERRORS: QubesPoolNotFoundError, StoragePoolException when the driver has no such setting.</summary>
    public async Task SetAsync(PoolName name, string setting, string value, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            var record = await services.Store.ApplyAsync(change =>
            {
                var pool = Find(change.State, name);
                if (services.Pools.Drivers.GetValueOrDefault(pool.Driver)?.Parameters.Any(parameter => parameter.Name == setting) != true)
                {
                    throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s has no setting %s: its driver is %s", name.Value, setting, pool.Driver);
                }
                var next = pool with { Config = pool.Config.SetItem(setting, value) };
                change.PutPool(next);
                return next;
            }, CancellationToken.None);
            services.Pools.TryGet(name)?.Reconfigure(record);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>
    /// Compares a pool with the records; with <paramref name="mend"/> has the pool put right what it can, and records the sizes that its disks have. VMs that
    /// run or are being worked on are left alone. ERRORS: QubesPoolNotFoundError, MgmtUnavailableError, StoragePoolException.
    /// </summary>
    public async Task<ImmutableArray<PoolFinding>> CheckAsync(PoolName name, bool mend, CancellationToken cancellation)
    {
        await services.Pools.CheckTurn.WaitAsync(cancellation);
        var gates = new List<IDisposable>();
        try
        {
            var pool = services.Pools.Get(name);
            var held = new HashSet<VmName>();
            // Not waited for: somebody may hold one gate and wait for another.
            foreach (var vm in services.Store.Current.Vms.Values.Where(vm => In(vm, name).Any()))
            {
                if (services.Gates.TryEnter(vm.Name) is { } gate)
                {
                    gates.Add(gate);
                    held.Add(vm.Name);
                }
            }
            var state = services.Store.Current;
            var known = state.Vms.Values.SelectMany(vm => In(vm, name)).Concat(InWork(state, name)).DistinctBy(volume => volume.Vid).ToList();
            var free = state.Vms.Values.Where(vm => held.Contains(vm.Name) && vm.Status.State == VmState.Halted).SelectMany(vm => In(vm, name)).Select(volume => volume.Vid!.Value).ToHashSet();
            var found = await pool.CheckAsync(known, known.Select(volume => volume.Vid!.Value).Where(vid => !free.Contains(vid)).ToHashSet(), mend, cancellation);
            return mend ? await MendSizesAsync(name, found) : found;
        }
        finally
        {
            gates.ForEach(gate => gate.Dispose());
            services.Pools.CheckTurn.Release();
        }
    }

    private async Task<ImmutableArray<PoolFinding>> MendSizesAsync(PoolName name, ImmutableArray<PoolFinding> found)
    {
        if (!found.Any(f => f is { Mended: false, SizeBytes: not null }))
        {
            return found;
        }
        return await services.Store.ApplyAsync(change => found.Select(finding =>
        {
            if (finding is not { Mended: false, SizeBytes: { } size } || VolumeAddress.Find(change.State, name, finding.What) is not { } address)
            {
                return finding;
            }
            change.SetSize(address, size);
            change.Emit(MgmtEvent.Of(address.Vm, "volume-resize", ("volume", address.Volume.Wire())));
            return finding with { Mended = true };
        }).ToImmutableArray(), CancellationToken.None);
    }

    private static IEnumerable<VolumeRecord> In(VmRecord vm, PoolName pool) => vm.Volumes.Values.Where(volume => volume.Name != VolumeName.Kernel && volume.Pool == pool && volume.Vid is not null);

    /// <summary>Volumes that are being made or removed are nobody's yet, and no strangers.</summary>
    private static IEnumerable<VolumeRecord> InWork(HostState state, PoolName pool) => state.VolumesInWork.Where(work => work.Pool == pool).Select(work => new VolumeRecord
    {
        Name = VolumeName.Private, Pool = pool, Vid = work.Vid, SizeBytes = 0, Writable = true, SaveOnStop = false, SnapOnStart = false,
    });

    private MgmtException? TakeOut(IStateTransaction change, PoolName name)
    {
        Find(change.State, name);
        // The event is journalled also when the removal is refused after it.
        change.Emit(MgmtEvent.Global("pool-pre-delete", ("pool", name.Value)));
        if (UserOf(change.State, name) is { } user)
        {
            return new(ErrorCode.QubesPoolInUseError, "Storage pool is in use: '%s'; see %s", name.Value, user);
        }
        change.RemovePool(name);
        change.Emit(MgmtEvent.Global("pool-delete", ("pool", name.Value)));
        return null;
    }

    private string? UserOf(HostState state, PoolName name)
    {
        foreach (var vm in state.Vms.Values)
        {
            if (vm.Volumes.Values.FirstOrDefault(volume => volume.Pool == name) is { } volume)
            {
                return string.Create(CultureInfo.InvariantCulture, $"volume {volume.Name.Wire()} of {vm.Name}");
            }
        }
        return state.VolumesInWork.Any(work => work.Pool == name)
            ? "a volume that is being made or removed"
            : Defaults.Where(property => services.Properties.Text(state, null, property) == name.Value).Select(property => $"global property {property}").FirstOrDefault();
    }

    private static PoolRecord Find(HostState state, PoolName name) =>
        state.Pools.GetValueOrDefault(name) ?? throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", name.Value);

    private static void RequireFree(HostState state, PoolName name)
    {
        if (state.Pools.ContainsKey(name))
        {
            throw new MgmtException(ErrorCode.QubesException, "Storage pool '%s' already exists", name.Value);
        }
    }

    private static void Check(IPoolDriver driver, IReadOnlyDictionary<string, string> config)
    {
        if (config.Keys.Any(key => driver.Parameters.All(parameter => parameter.Name != key)))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Unexpected driver options found");
        }
        if (driver.Parameters.Where(parameter => parameter.Required && !config.ContainsKey(parameter.Name)).Select(parameter => parameter.Name).ToList() is { Count: > 0 } missing)
        {
            throw new MgmtException(ErrorCode.QubesException, "missing required driver options: %s", string.Join(", ", missing));
        }
    }

    /// <summary>A pool that is closed again unless it was entered.</summary>
    private sealed class Opening(IStoragePool pool) : IAsyncDisposable
    {
        private IStoragePool? _pool = pool;

        internal IStoragePool Take()
        {
            var taken = _pool!;
            _pool = null;
            return taken;
        }

        public ValueTask DisposeAsync() => _pool?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
