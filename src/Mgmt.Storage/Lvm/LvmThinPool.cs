using System.Collections.Concurrent;
using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>
/// A thin pool of lvm2. One operation at a time per volume; a snapshot also waits for its source. Every operation begins and ends with one lvs;
/// reads are served from what the last one said. SOURCE: docs/storage.md, "Thin pools of lvm2".
/// </summary>
internal sealed partial class LvmThinPool : IStoragePool
{
    private readonly string _thinPool;
    private readonly Lvm2 _lvm;
    private readonly LvmCopier _copier;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Action _closed;
    private readonly Refresher _refresher;
    private readonly ConcurrentDictionary<Vid, SemaphoreSlim> _gates = new();
    private readonly SemaphoreSlim _looking = new(1, 1);
    private volatile LvmFacts _facts = LvmFacts.None;
    private volatile PoolRecord _record;

    internal LvmThinPool(PoolRecord record, string thinPool, Lvm2 lvm, LvmCopier copier, ILogger logger, TimeProvider time, Action closed)
    {
        _record = record;
        _thinPool = thinPool;
        _lvm = lvm;
        _copier = copier;
        _logger = logger;
        _time = time;
        _closed = closed;
        _refresher = new Refresher(record.Name, LookAsync, logger, time);
    }

    public PoolRecord Record => _record;

    public PoolUsage Usage => Fresh().Usage;

    public ImmutableArray<Vid> Volumes => [.. Fresh().ById.Keys];

    public void Reconfigure(PoolRecord record) => _record = record;

    public long UsageBytes(Vid vid) => Fresh().Of(vid) is var volume ? (volume.Content?.UsedBytes ?? 0) + (volume.Run?.UsedBytes ?? 0) : 0;

    public ImmutableArray<Revision> Revisions(VolumeRecord volume) => volume.Vid is { } vid ? Fresh().Of(vid).Revisions : [];

    public bool IsOutdated(VolumeRecord volume) =>
        volume is { SnapOnStart: true, Vid: { } vid, Source: { } source }
        && Fresh().Of(vid).Run is { } run && LvmTags.BaseOf(run) is { } madeFrom && Fresh().Of(source).Content is { } current && madeFrom != current.Uuid;

    public BootImage OpenKernel(string kernel) =>
        throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s holds no kernels", Record.Name.Value);

    public async ValueTask DisposeAsync()
    {
        await _refresher.DisposeAsync();
        _closed();
    }

    /// <summary>Looks at the thin pool and finishes or takes back what an earlier daemon began. ERRORS: StoragePoolException, with the reason.</summary>
    internal async Task OpenAsync(CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        if (_facts.ThinPool is not { } pool)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "The volume group has no thin pool %s", _thinPool);
        }
        if (!pool.ZeroesNewBlocks)
        {
            // A guest would read what another one's removed disk held.
            throw new MgmtException(ErrorCode.StoragePoolException, "Thin pool %s does not zero new blocks: lvchange --zero y", _thinPool);
        }
        var left = 0;
        foreach (var vid in _facts.ById.Keys)
        {
            left += await MendAsync(vid, cancellation) ? 1 : 0;
        }
        if (left > 0)
        {
            Log.LeftoversRemoved(_logger, Record.Name.Value, left);
            await LookAsync(cancellation);
        }
    }

    private LvmFacts Fresh()
    {
        _refresher.Want();
        return _facts;
    }

    private async Task LookAsync(CancellationToken cancellation)
    {
        // One after the other, so that what was seen later stays.
        await _looking.WaitAsync(cancellation);
        try
        {
            _facts = LvmFacts.From(await _lvm.ListAsync(cancellation), _thinPool);
        }
        finally
        {
            _looking.Release();
        }
    }

    /// <summary>Runs a change with the volume to itself, and brings the facts up to date before and, failed or not, after it.</summary>
    private async Task<T> ChangeAsync<T>(VolumeRecord volume, Func<LvmNames, LvmVolume, Task<T>> change, CancellationToken cancellation)
    {
        var vid = IdOf(volume);
        var names = LvmNames.Of(vid);
        using var held = await HoldAsync(vid, cancellation);
        await LookAsync(cancellation);
        try
        {
            return await change(names, _facts.Of(vid));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Translate(failure);
        }
        finally
        {
            await LookQuietlyAsync();
        }
    }

    private Task ChangeAsync(VolumeRecord volume, Func<LvmNames, LvmVolume, Task> change, CancellationToken cancellation) => ChangeAsync(
        volume,
        async (names, found) =>
        {
            await change(names, found);
            return true;
        },
        cancellation);

    private async Task LookQuietlyAsync()
    {
        try
        {
            await LookAsync(CancellationToken.None);
        }
        catch (MgmtException failure)
        {
            Log.RefreshFailed(_logger, failure, Record.Name.Value);
        }
    }

    private async Task<Held> HoldAsync(Vid vid, CancellationToken cancellation)
    {
        var gate = _gates.GetOrAdd(vid, _ => new SemaphoreSlim(1, 1));
        await gate.WaitAsync(cancellation);
        return new Held(gate);
    }

    private Vid IdOf(VolumeRecord volume) => volume.Vid
        ?? throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s has no id in pool %s", volume.Name.Wire(), Record.Name.Value);

    private int RevisionsToKeep(VolumeRecord volume) => volume.RevisionsToKeep ?? LvmThinDriver.RevisionsToKeep(Record);

    private MgmtException Translate(Exception failure)
    {
        Log.OperationFailed(_logger, failure, Record.Name.Value);
        return Errno.IsNoSpace(failure)
            ? new MgmtException(failure, ErrorCode.MgmtNoSpaceError, "No space left in pool %s", Record.Name.Value)
            : new MgmtException(failure, ErrorCode.StoragePoolException, "Pool %s: a device operation failed; the daemon's log says why", Record.Name.Value);
    }

    private static MgmtException NotFound(Vid vid) => new(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", vid.Value);

    private sealed record Held(SemaphoreSlim Gate) : IDisposable
    {
        public void Dispose() => Gate.Release();
    }
}
