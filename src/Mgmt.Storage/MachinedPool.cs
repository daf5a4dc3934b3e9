using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// The images of systemd-machined. A volume's id is its image's name. Raw images can be read and run; directories, subvolumes and block devices are
/// listed and kept in order, and are no disks. Nothing is made or removed here for a VM: the images are the host's.
/// </summary>
internal sealed partial class MachinedPool : IStoragePool, IImagePool
{
    private const string Raw = "raw";
    private readonly IMachineImages _machined;
    private readonly Func<string> _root;
    private readonly Action _closed;
    private readonly Refresher _refresher;
    // What runs, as far as this daemon started it.
    private readonly ConcurrentDictionary<Vid, bool> _running = new();
    private volatile Facts _facts;

    internal MachinedPool(PoolRecord record, IMachineImages machined, MachineImageList list, Func<string> root, ILogger logger, TimeProvider time, Action closed)
    {
        Record = record;
        _machined = machined;
        _root = root;
        _closed = closed;
        _facts = new Facts(list);
        _refresher = new Refresher(record.Name, LookAsync, logger, time);
    }

    public PoolRecord Record { get; }

    public PoolUsage Usage => Fresh().Usage;

    public ImmutableArray<Vid> Volumes => [.. Fresh().ById.Keys];

    public ImmutableArray<MachineImage> Images => [.. Fresh().ById.Values];

    public long UsageBytes(Vid vid) => Fresh().ById.GetValueOrDefault(vid)?.UsedBytes ?? 0;

    public bool IsOutdated(VolumeRecord volume) => false;

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => Task.FromException(ReadOnlyPool());

    public Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation) =>
        Task.FromException(ReadOnlyPool());

    /// <summary>A VM goes and its image stays: it was not made here. <see cref="RemoveImageAsync"/> removes images.</summary>
    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;

    public async Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        if (volume.SnapOnStart || !volume.SaveOnStop || volume.Ephemeral)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s runs raw images on themselves only, not as snapshots, scratch or encrypted", Record.Name.Value);
        }
        var vid = IdOf(volume);
        var open = await OpenAsync(volume.Name, vid, volume.Writable, cancellation);
        _running[vid] = true;
        return open;
    }

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        _running.TryRemove(IdOf(volume), out _);
        return Task.CompletedTask;
    }

    public Task<OpenVolume> ExportAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation)
    {
        var vid = IdOf(volume);
        if (revision is { } unknown)
        {
            throw new MgmtException(ErrorCode.QubesVolumeRevisionNotFoundError, "No such revision: '%s'", unknown.Value);
        }
        if (_running.ContainsKey(vid))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before importing its data", vid.Value);
        }
        return OpenAsync(volume.Name, vid, write: false, cancellation);
    }

    public async Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation)
    {
        await LookAsync(cancellation);
        return [.. known.Where(volume => volume.SaveOnStop && volume.Vid is { } vid && !_facts.ById.ContainsKey(vid))
            .Select(volume => new PoolFinding("missing", volume.Vid!.Value.Value, "systemd-machined knows no image of that name", false))];
    }

    public BootImage OpenKernel(string kernel) =>
        throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s holds no kernels", Record.Name.Value);

    public async ValueTask DisposeAsync()
    {
        await _refresher.DisposeAsync();
        _closed();
    }

    private Facts Fresh()
    {
        _refresher.Want();
        return _facts;
    }

    private async Task LookAsync(CancellationToken cancellation) => _facts = new Facts(await _machined.ListAsync(cancellation));

    /// <summary>Opens an image where machined says it is; its last component is never a symbolic link.</summary>
    private async Task<OpenVolume> OpenAsync(VolumeName name, Vid vid, bool write, CancellationToken cancellation)
    {
        var image = await _machined.GetAsync(ImageName(vid), cancellation);
        if (image.Type != Raw)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Image %s is a %s: only raw images are disks", vid.Value, image.Type);
        }
        if (write && image.ReadOnly)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Image %s is read-only", vid.Value);
        }
        var file = await Task.Run(() => Opened(vid, image.Path, write), cancellation);
        return new OpenVolume(name, !write, RandomAccess.GetLength(file), [new ImageLayer(file, Raw, !write)]);
    }

    private SafeFileHandle Opened(Vid vid, string path, bool write)
    {
        try
        {
            // From elsewhere on the host: a path that leads anywhere else than to a raw image of that name is not followed.
            return Path.IsPathRooted(path) && Path.GetFileName(path) == vid.Value + ".raw" && FileStatus.Of(_root() + path) is { IsFile: true }
                ? PoolDirectory.Open(_root() + path, write)
                : throw new MgmtException(ErrorCode.StoragePoolException, "Image %s is not a plain file", vid.Value);
        }
        catch (IOException failure)
        {
            throw new MgmtException(failure, ErrorCode.StoragePoolException, "Cannot open image %s: %s", vid.Value, failure.Message);
        }
    }

    private Vid IdOf(VolumeRecord volume) => volume.Vid
        ?? throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s has no id in pool %s", volume.Name.Wire(), Record.Name.Value);

    private MgmtException ReadOnlyPool() => new(
        ErrorCode.StoragePoolException, "Pool %s makes and fills no volumes: its images are the host's (machinectl import-raw, or a clone of another image)", Record.Name.Value);

    /// <summary>What was listed last. Images whose names are no volume ids, and hidden ones (".host" is the host itself), are left out.</summary>
    private sealed record Facts(MachineImageList List)
    {
        internal PoolUsage Usage { get; } = new(List.LimitBytes, List.UsedBytes ?? List.Images.Where(image => IsVolume(image.Name)).Sum(image => image.UsedBytes ?? 0));

        internal ImmutableSortedDictionary<Vid, MachineImage> ById { get; } = List.Images
            .Where(image => IsVolume(image.Name))
            .DistinctBy(image => image.Name)
            .ToImmutableSortedDictionary(image => Vid.Parse(image.Name), image => image);
    }
}
