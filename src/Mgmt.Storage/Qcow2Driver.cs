using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Storage;

/// <summary>Pools whose volumes are qcow2 images in a directory. SOURCE: docs/storage.md.</summary>
public sealed class Qcow2Driver : IPoolDriver
{
    private const string RevisionsParameter = "revisions_to_keep";
    private readonly PoolRoots _roots;
    private readonly ILogger<Qcow2Driver> _logger;
    private readonly TimeProvider _time;
    private readonly string _qemuImg;
    private readonly Lock _gate = new();
    private readonly HashSet<string> _open = new(StringComparer.Ordinal);

    /// <summary>
    /// Makes the driver. <paramref name="poolRoots"/> are the absolute paths below which pools may live; a pool without dir_path is made
    /// below the first. <paramref name="qemuImg"/> is the tool's name or path.
    /// </summary>
    public Qcow2Driver(IReadOnlyList<string> poolRoots, ILogger<Qcow2Driver> logger, TimeProvider time, string qemuImg = "qemu-img")
    {
        _roots = new PoolRoots(poolRoots);
        _logger = logger;
        _time = time;
        _qemuImg = qemuImg;
    }

    /// <inheritdoc/>
    public string Name => "qcow2";

    /// <inheritdoc/>
    public ImmutableArray<PoolParameter> Parameters { get; } = [new("dir_path", false), new(RevisionsParameter, false)];

    /// <inheritdoc/>
    public async Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        // Disk work: off the caller's thread.
        return await Task.Run(() => Open(record), cancellation);
    }

    private Qcow2Pool Open(PoolRecord record)
    {
        try
        {
            var revisions = record.Config.GetValueOrDefault(RevisionsParameter) is { } text ? Parse.Number(text, RevisionsParameter, allowNegative: true) : 1;
            if (revisions is < -1 or > int.MaxValue)
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "revisions_to_keep is -1 or more");
            }
            var path = _roots.Prepare(record);
            Claim(path);
            try
            {
                return new Qcow2Pool(record, new PoolDirectory(path), (int)revisions, new QemuImg(_qemuImg, _logger, _time), _logger, _time, () => Release(path));
            }
            catch
            {
                Release(path);
                throw;
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MgmtException(failure, ErrorCode.StoragePoolException, "Cannot open pool %s: %s", record.Name.Value, failure.Message);
        }
    }

    // Two pools in one directory would clean up each other's unfinished work.
    private void Claim(string path)
    {
        lock (_gate)
        {
            if (_open.Any(other => (path + "/").StartsWith(other + "/", StringComparison.Ordinal) || (other + "/").StartsWith(path + "/", StringComparison.Ordinal)))
            {
                throw new MgmtException(ErrorCode.StoragePoolException, "dir_path is inside or around that of another pool: %s", path);
            }
            _open.Add(path);
        }
    }

    private void Release(string path)
    {
        lock (_gate)
        {
            _open.Remove(path);
        }
    }
}
