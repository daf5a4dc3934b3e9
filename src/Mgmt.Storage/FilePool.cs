using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>
/// A directory of images of one format. One operation at a time per volume; a snapshot also waits for its source. An image that has a second name
/// (a revision, a run's base) or is open for an export is never written: it is replaced.
/// </summary>
internal sealed partial class FilePool : IStoragePool
{
    private readonly PoolDirectory _directory;
    private readonly IImageFormat _format;
    private readonly QemuImg _qemuImg;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Action _closed;
    private readonly PoolIndex _index;
    private readonly Refresher _refresher;
    private readonly OpenExports _exports = new();
    private readonly ConcurrentDictionary<Vid, SemaphoreSlim> _gates = new();
    private volatile Configured _configured;

    internal FilePool(PoolRecord record, PoolDirectory directory, IImageFormat format, QemuImg qemuImg, ILogger logger, TimeProvider time, Action closed)
    {
        _configured = new(record, FilePoolOpener.RevisionsToKeep(record));
        _directory = directory;
        _format = format;
        _qemuImg = qemuImg;
        _logger = logger;
        _time = time;
        _closed = closed;
        if (directory.Leftovers() is { Count: > 0 } leftovers)
        {
            directory.Delete(durable: false, [.. leftovers]);
            Log.LeftoversRemoved(logger, record.Name.Value, leftovers.Count);
        }
        _index = new PoolIndex(directory.Root, format);
        _index.Scan();
        _refresher = new Refresher(record.Name, _index.Scan, logger, time);
    }

    public PoolRecord Record => _configured.Record;

    public void Reconfigure(PoolRecord record) => _configured = new(record, FilePoolOpener.RevisionsToKeep(record));

    public PoolUsage Usage => Fresh().Usage;

    public ImmutableArray<Vid> Volumes => Fresh().Volumes;

    public long UsageBytes(Vid vid) => Fresh().Find(vid)?.UsedBytes ?? 0;

    public bool IsOutdated(VolumeRecord volume) =>
        volume is { SnapOnStart: true, Vid: { } vid, Source: { } source }
        && Fresh().Find(vid)?.Base is { } madeFrom && Fresh().Find(source)?.Image is { } current && madeFrom != current;

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) =>
        ChangeAsync(volume, (files, token) => CreateCoreAsync(volume, files, token), cancellation);

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => ChangeAsync(volume, (files, _) => RemoveCoreAsync(files), cancellation);

    public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) =>
        OpenAsync(volume, (files, token) => StartCoreAsync(volume, files, token), cancellation);

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

    /// <summary>As <see cref="ChangeAsync(VolumeRecord, Func{VolumeFiles, CancellationToken, Task}, CancellationToken)"/>, of a change that opens files.</summary>
    private async Task<T> OpenAsync<T>(VolumeRecord volume, Func<VolumeFiles, CancellationToken, Task<T>> change, CancellationToken cancellation)
        where T : class
    {
        T? open = null;
        try
        {
            await ChangeAsync(volume, async (files, token) => open = await change(files, token), cancellation);
            return open!;
        }
        catch
        {
            (open as IDisposable)?.Dispose();
            throw;
        }
    }

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

    private static MgmtException NotFound(Vid vid) => new(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", vid.Value);

    private MgmtException Translate(Exception failure)
    {
        Log.OperationFailed(_logger, failure, Record.Name.Value);
        return Errno.IsNoSpace(failure)
            ? new MgmtException(failure, ErrorCode.MgmtNoSpaceError, "No space left in pool %s", Record.Name.Value)
            : new MgmtException(failure, ErrorCode.StoragePoolException, "Pool %s: a file operation failed; the daemon's log says why", Record.Name.Value);
    }

    /// <summary>How many revisions a volume keeps; 0: none, -1: it runs on itself.</summary>
    private int RevisionsToKeep(VolumeRecord volume) => volume.RevisionsToKeep ?? _configured.RevisionsToKeep;

    private sealed record Configured(PoolRecord Record, int RevisionsToKeep);

    private sealed record Held(SemaphoreSlim Gate) : IDisposable
    {
        public void Dispose() => Gate.Release();
    }
}
