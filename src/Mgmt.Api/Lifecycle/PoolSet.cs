using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>The storage pools at work. One that cannot be opened is kept with its reason and stops nobody else.</summary>
public sealed class PoolSet(IEnumerable<IPoolDriver> drivers, ILogger<PoolSet> log) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<PoolName, IStoragePool> _open = new();
    private readonly ConcurrentDictionary<PoolName, string> _broken = new();

    /// <summary>The drivers, by name.</summary>
    public ImmutableSortedDictionary<string, IPoolDriver> Drivers { get; } = drivers.ToImmutableSortedDictionary(d => d.Name, d => d, StringComparer.Ordinal);

    /// <summary>Pools that cannot be used, with the reason.</summary>
    public IEnumerable<KeyValuePair<PoolName, string>> Broken => _broken.OrderBy(pair => pair.Key);

    /// <summary>Opens the pools of a state.</summary>
    public async Task OpenAllAsync(HostState state, CancellationToken cancellation)
    {
        foreach (var record in state.Pools.Values)
        {
            try
            {
                var driver = Drivers.GetValueOrDefault(record.Driver) ?? throw new MgmtException(ErrorCode.StoragePoolException, "no driver %s in this mgmtd", record.Driver);
                _open[record.Name] = await driver.OpenAsync(record, cancellation);
            }
            catch (Exception error) when (!cancellation.IsCancellationRequested)
            {
                _broken[record.Name] = error.Message;
                Log.PoolBroken(log, record.Name, error.Message);
            }
        }
    }

    /// <summary>Opens a pool that could not be opened before; nothing changes when it still cannot. <paramref name="stillWanted"/> is asked once it is open.</summary>
    internal async Task ReopenAsync(PoolRecord record, Func<bool> stillWanted, CancellationToken cancellation)
    {
        if (!_broken.ContainsKey(record.Name) || Drivers.GetValueOrDefault(record.Driver) is not { } driver)
        {
            return;
        }
        try
        {
            var pool = await driver.OpenAsync(record, cancellation);
            if (!stillWanted() || !_open.TryAdd(record.Name, pool))
            {
                await pool.DisposeAsync();
                return;
            }
            _broken.TryRemove(record.Name, out _);
            Log.PoolReopened(log, record.Name);
        }
        catch (MgmtException error)
        {
            _broken[record.Name] = error.Message;
        }
    }

    /// <summary>A pool. ERRORS: QubesPoolNotFoundError; MgmtUnavailableError when it could not be opened.</summary>
    public IStoragePool Get(PoolName name) => _open.TryGetValue(name, out var pool)
        ? pool
        : _broken.TryGetValue(name, out var reason)
            ? throw new MgmtException(ErrorCode.MgmtUnavailableError, "Pool %s cannot be used: %s", name.Value, reason)
            : throw new MgmtException(ErrorCode.QubesPoolNotFoundError, "No such pool: '%s'", name.Value);

    /// <summary>One check at a time, of whatever pool: two would take each other's VMs for being worked on.</summary>
    internal SemaphoreSlim CheckTurn { get; } = new(1, 1);

    /// <summary>A pool that is open, or null.</summary>
    public IStoragePool? TryGet(PoolName name) => _open.GetValueOrDefault(name);

    /// <summary>Takes in a pool that was opened at run time; it is closed with the others.</summary>
    internal void Add(PoolName name, IStoragePool pool) => _open[name] = pool;

    /// <summary>Closes a pool that is not in the state any more.</summary>
    internal async Task RemoveAsync(PoolName name)
    {
        _broken.TryRemove(name, out _);
        if (_open.TryRemove(name, out var pool))
        {
            await pool.DisposeAsync();
        }
    }

    /// <summary>Whether the kernels pool of a state holds a kernel.</summary>
    public bool HasKernel(HostState state, string kernel) =>
        TryGet(KernelPool(state)) is { } pool && (pool.Volumes.Any(vid => vid.Value == kernel) || CanOpen(pool, kernel));

    internal static PoolName KernelPool(HostState state) => PoolName.Parse(state.Properties.GetValueOrDefault("default_pool_kernel") ?? "linux-kernel");

    /// <summary>What a pool has in memory may be some seconds old, and a kernel is often named right after it was put there.</summary>
    private static bool CanOpen(IStoragePool pool, string kernel)
    {
        try
        {
            using var image = pool.OpenKernel(kernel);
            return true;
        }
        catch (MgmtException)
        {
            return false;
        }
    }

    /// <summary>Closes them.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var pool in _open.Values)
        {
            await pool.DisposeAsync();
        }
    }
}
