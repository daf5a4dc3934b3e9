using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>A directory of qcow2 images. One operation at a time per volume; a snapshot also waits for its source.</summary>
internal sealed partial class Qcow2Pool : IStoragePool
{
    private readonly PoolDirectory _directory;
    private readonly int _revisionsToKeep;
    private readonly QemuImg _qemuImg;
    private readonly ILogger _logger;
    private readonly Action _closed;
    private readonly PoolIndex _index;
    private readonly Refresher _refresher;
    private readonly ConcurrentDictionary<Vid, SemaphoreSlim> _gates = new();

    internal Qcow2Pool(PoolRecord record, PoolDirectory directory, int revisionsToKeep, QemuImg qemuImg, ILogger logger, TimeProvider time, Action closed)
    {
        Record = record;
        _directory = directory;
        _revisionsToKeep = revisionsToKeep;
        _qemuImg = qemuImg;
        _logger = logger;
        _closed = closed;
        if (directory.RemoveTemps() is > 0 and var count)
        {
            Log.LeftoversRemoved(logger, record.Name.Value, count);
        }
        _index = new PoolIndex(directory.Root);
        _index.Scan();
        _refresher = new Refresher(record.Name, _index.Scan, logger, time);
    }

    public PoolRecord Record { get; }

    public PoolUsage Usage => Fresh().Usage;

    public ImmutableArray<Vid> Volumes => Fresh().Volumes;

    public long UsageBytes(Vid vid) => Fresh().Find(vid)?.UsedBytes ?? 0;

    public bool IsOutdated(VolumeRecord volume) =>
        volume is { SnapOnStart: true, Vid: { } vid, Source: { } source }
        && Fresh().Find(vid)?.Base is { } madeFrom && Fresh().Find(source)?.Image is { } current && madeFrom != current;

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, CreateCoreAsync, cancellation);

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, RemoveCoreAsync, cancellation);

    public async Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        OpenVolume? open = null;
        try
        {
            await ChangeAsync(volume, async (files, token) => open = await StartCoreAsync(volume, files, token), cancellation);
            return open!;
        }
        catch
        {
            open?.Dispose();
            throw;
        }
    }

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) =>
        ChangeAsync(volume, (files, token) => StopCoreAsync(volume, files, token), cancellation);

    public BootImage OpenKernel(string kernel) =>
        throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s holds no kernels", Record.Name.Value);

    public async ValueTask DisposeAsync()
    {
        await _refresher.DisposeAsync();
        _closed();
    }

    private PoolFacts Fresh()
    {
        _refresher.Want();
        return _index.Facts;
    }

    private Task ChangeAsync(VolumeRecord volume, Func<VolumeRecord, VolumeFiles, CancellationToken, Task> change, CancellationToken cancellation) =>
        ChangeAsync(volume, (files, token) => change(volume, files, token), cancellation);

    /// <summary>Runs a change with the volume to itself, off the caller's thread, and brings the facts up to date, failed or not.</summary>
    private async Task ChangeAsync(VolumeRecord volume, Func<VolumeFiles, CancellationToken, Task> change, CancellationToken cancellation)
    {
        var vid = IdOf(volume);
        using var held = await HoldAsync(vid, cancellation);
        try
        {
            await Task.Run(() => change(_directory.Locate(vid), cancellation), cancellation);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Translate(failure);
        }
        finally
        {
            await Task.Run(() => Refresh(vid), CancellationToken.None);
        }
    }

    private void Refresh(Vid vid)
    {
        try
        {
            _index.Update(vid);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or MgmtException)
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

    private MgmtException Translate(Exception failure)
    {
        Log.OperationFailed(_logger, failure, Record.Name.Value);
        return Errno.IsNoSpace(failure)
            ? new MgmtException(failure, ErrorCode.MgmtNoSpaceError, "No space left in pool %s", Record.Name.Value)
            : new MgmtException(failure, ErrorCode.StoragePoolException, "Pool %s: a file operation failed; the daemon's log says why", Record.Name.Value);
    }

    private sealed record Held(SemaphoreSlim Gate) : IDisposable
    {
        public void Dispose() => Gate.Release();
    }
}
