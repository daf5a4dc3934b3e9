using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Api.Tests;

/// <summary>Pools whose volumes hold one word each, and that can be made to fail or to wait in the middle of a copy.</summary>
internal sealed class ClonePools
{
    private readonly Dictionary<SafeFileHandle, string> _exports = [];

    internal ClonePools() => Drivers = [new Driver(this, "qcow2"), new Driver(this, "linux-kernel")];

    internal ImmutableArray<IPoolDriver> Drivers { get; }
    /// <summary>What each volume of each pool holds; empty after its creation.</summary>
    internal SortedDictionary<VolumeInWork, string> Contents { get; } = [];
    internal List<string> Log { get; } = [];
    internal Func<string, VolumeRecord, Exception?> Error { get; set; } = (_, _) => null;
    internal TaskCompletionSource? Hold { get; set; }
    internal TaskCompletionSource Copying { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    internal int OpenExports => _exports.Keys.Count(handle => !handle.IsClosed);

    private sealed class Driver(ClonePools pools, string name) : IPoolDriver
    {
        public string Name => name;
        public ImmutableArray<PoolParameter> Parameters => [];
        public Task<IStoragePool> OpenAsync(PoolRecord record, CancellationToken cancellation) =>
            record.Name.Value == "broken" ? throw new MgmtException(ErrorCode.StoragePoolException, "broken") : Task.FromResult<IStoragePool>(new Pool(pools, record));
    }

    private sealed class Pool(ClonePools pools, PoolRecord record) : IStoragePool
    {
        public PoolRecord Record => record;
        public PoolUsage Usage => new(null, null);
        public ImmutableArray<Vid> Volumes => [Vid.Parse("6.1"), .. pools.Contents.Keys.Where(k => k.Pool == record.Name).Select(k => k.Vid)];
        public long UsageBytes(Vid vid) => 0;
        public bool IsOutdated(VolumeRecord volume) => false;
        public BootImage OpenKernel(string kernel) => null!;

        public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation)
        {
            Note("create", volume);
            pools.Contents.Add(Key(volume), "");
            return Task.CompletedTask;
        }

        public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation)
        {
            Note("remove", volume);
            pools.Contents.Remove(Key(volume));
            return Task.CompletedTask;
        }

        public Task<OpenVolume> ExportAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation)
        {
            Note("export", volume);
            var handle = new SafeFileHandle(-1, false);
            pools._exports[handle] = pools.Contents.GetValueOrDefault(Key(volume)) ?? volume.Vid!.Value.Value;
            return Task.FromResult(new OpenVolume(volume.Name, true, volume.SizeBytes * 2, [new ImageLayer(handle, "qcow2", true)]));
        }

        public async Task<long> CloneAsync(VolumeRecord target, OpenVolume source, IProgress<CopyProgress>? progress, CancellationToken cancellation)
        {
            Note("clone", target);
            progress!.Report(new(1, 2));
            pools.Copying.TrySetResult();
            await (pools.Hold?.Task ?? Task.CompletedTask).WaitAsync(cancellation);
            pools.Contents[Key(target)] = pools._exports[source.Layers[0].File];
            return source.SizeBytes;
        }

        public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) => Task.FromResult(new OpenVolume(volume.Name, false, volume.SizeBytes, []));
        public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) => Task.CompletedTask;
        public Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation) => Task.CompletedTask;
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private VolumeInWork Key(VolumeRecord volume) => new(record.Name, volume.Vid!.Value);

        private void Note(string what, VolumeRecord volume)
        {
            pools.Log.Add($"{what} {record.Name}:{volume.Vid}");
            if (pools.Error(what, volume) is { } error)
            {
                throw error;
            }
        }
    }
}
