using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>A directory of kernels. VMs only refer to them: nothing a VM does changes what is here.</summary>
internal sealed class LinuxKernelPool : IStoragePool
{
    private const string KernelFile = "vmlinuz", InitramfsFile = "initramfs";
    private readonly string _root;
    private readonly Refresher _refresher;
    private volatile ImmutableSortedDictionary<Vid, long> _kernels = ImmutableSortedDictionary<Vid, long>.Empty;

    internal LinuxKernelPool(PoolRecord record, string root, ILogger logger, TimeProvider time)
    {
        Record = record;
        _root = root;
        Scan();
        _refresher = new Refresher(record.Name, Scan, logger, time);
    }

    public PoolRecord Record { get; }

    public PoolUsage Usage => new(null, Fresh().Values.Sum());

    public ImmutableArray<Vid> Volumes => [.. Fresh().Keys];

    public long UsageBytes(Vid vid) => Fresh().GetValueOrDefault(vid);

    public bool IsOutdated(VolumeRecord volume) => false;

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;

    public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) =>
        Task.FromResult(new OpenVolume(volume.Name, true, volume.SizeBytes, []));

    public Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation) =>
        Task.FromException(new MgmtException(ErrorCode.StoragePoolException, "Pool %s is read-only", Record.Name.Value));

    public BootImage OpenKernel(string kernel)
    {
        if (Find(kernel) is not { } directory || Open(kernel, directory, KernelFile) is not { } image)
        {
            throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", kernel);
        }
        try
        {
            return new BootImage(kernel, image, Open(kernel, directory, InitramfsFile));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <summary>Nothing here is the daemon's own: all it can find is a VM whose kernel is not there.</summary>
    public Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation)
    {
        Scan();
        var kernels = _kernels;
        return Task.FromResult<ImmutableArray<PoolFinding>>(
        [
            .. known.Select(volume => volume.Vid).OfType<Vid>().Distinct().Order().Where(vid => !kernels.ContainsKey(vid)).Select(vid => new PoolFinding("missing", vid.Value, "there is no kernel of that name", false)),
        ]);
    }

    public ValueTask DisposeAsync() => _refresher.DisposeAsync();

    private ImmutableSortedDictionary<Vid, long> Fresh()
    {
        _refresher.Want();
        return _kernels;
    }

    /// <summary>The directory of a kernel, or null: not a name, not there, or a symbolic link.</summary>
    private string? Find(string kernel)
    {
        if (kernel.Contains('/'))
        {
            return null;
        }
        try
        {
            var directory = Path.Combine(_root, Vid.Parse(kernel).Value);
            return FileStatus.Of(directory) is { IsDirectory: true } ? directory : null;
        }
        catch (MgmtException)
        {
            return null;
        }
    }

    private static SafeFileHandle? Open(string kernel, string directory, string name)
    {
        var path = Path.Combine(directory, name);
        try
        {
            return FileStatus.Of(path) is null ? null : PoolDirectory.Open(path, write: false);
        }
        catch (IOException failure)
        {
            throw new MgmtException(failure, ErrorCode.StoragePoolException, "Kernel %s: cannot open its %s", kernel, name);
        }
    }

    private void Scan()
    {
        var found = ImmutableSortedDictionary.CreateBuilder<Vid, long>();
        foreach (var directory in Directory.EnumerateDirectories(_root))
        {
            var name = Path.GetFileName(directory);
            if (Find(name) is not null && FileStatus.Of(Path.Combine(directory, KernelFile)) is { IsFile: true } kernel)
            {
                found.Add(Vid.Parse(name), kernel.UsedBytes + (FileStatus.Of(Path.Combine(directory, InitramfsFile))?.UsedBytes ?? 0));
            }
        }
        _kernels = found.ToImmutable();
    }
}
