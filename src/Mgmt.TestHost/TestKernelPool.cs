using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A pool of kernels that have names and no files. It is read-only.</summary>
internal sealed class TestKernelPool : IStoragePool
{
    public TestKernelPool(PoolRecord record)
    {
        Record = record;
        try
        {
            var names = record.Config.GetValueOrDefault("kernels", "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
            Volumes = [.. names.Select(Vid.Parse).Distinct().Order()];
        }
        catch (MgmtException error)
        {
            throw new MgmtException(error, ErrorCode.StoragePoolException, "kernels: %s", error.Message);
        }
    }

    public PoolRecord Record { get; }

    public PoolUsage Usage { get; } = new(null, null);

    public ImmutableArray<Vid> Volumes { get; }

    public long UsageBytes(Vid vid) => 0;

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(() => Check(volume), cancellation);

    public Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation) =>
        Task.FromException(new MgmtException(ErrorCode.StoragePoolException, "Pool %s is read-only", Record.Name.Value));

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;

    public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            Check(volume);
            return new OpenVolume(volume.Name, ReadOnly: true, volume.SizeBytes, []);
        },
        cancellation);

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;

    public bool IsOutdated(VolumeRecord volume) => false;

    public BootImage OpenKernel(string kernel) =>
        Volumes.Any(vid => vid.Value == kernel) ? new BootImage(kernel, null, null) : throw NotFound(kernel);

    public Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation) => Waiting.Now(
        () => known.Select(volume => volume.Vid).OfType<Vid>().Distinct().Order().Where(vid => !Volumes.Contains(vid))
            .Select(vid => new PoolFinding("missing", vid.Value, "there is no kernel of that name", false)).ToImmutableArray(),
        cancellation);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>A VM that boots its own kernel has a kernel volume without an id.</summary>
    private void Check(VolumeRecord volume)
    {
        if (volume.Vid is { } vid && !Volumes.Contains(vid))
        {
            throw NotFound(vid.Value);
        }
    }

    private static MgmtException NotFound(string kernel) => new(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", kernel);
}
