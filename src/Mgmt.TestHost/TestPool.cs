using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>
/// A pool that remembers of its volumes only that they are there, how large they are, how much was put into them and their revisions. A volume it has
/// never heard of was made before the daemon was restarted and is taken as it comes; one that was removed is not found.
/// </summary>
internal sealed partial class TestPool : IStoragePool
{
    private const long DefaultSizeBytes = 1L << 40;

    private readonly Lock _gate = new();
    private readonly Func<VolumeRecord, VmBehaviour> _behaviour;
    private readonly TimeProvider _time;
    private readonly SortedDictionary<Vid, TestVolume> _volumes = [];
    private readonly HashSet<Vid> _removed = [];
    private readonly long _sizeBytes;
    private volatile Configured _configured;

    public TestPool(PoolRecord record, IEnumerable<VolumeRecord> volumes, Func<VolumeRecord, VmBehaviour> behaviour, TimeProvider time)
    {
        _configured = Configured.Of(record);
        _behaviour = behaviour;
        _time = time;
        _sizeBytes = Number(record, "size") ?? DefaultSizeBytes;
        foreach (var volume in volumes)
        {
            _volumes[volume.Vid!.Value] = new TestVolume(TestContent.New(0, volume.SizeBytes));
        }
    }

    public PoolRecord Record => _configured.Record;

    public PoolUsage Usage
    {
        get
        {
            lock (_gate)
            {
                return new PoolUsage(_sizeBytes, UsedBytes);
            }
        }
    }

    public ImmutableArray<Vid> Volumes
    {
        get
        {
            lock (_gate)
            {
                return [.. _volumes.Keys];
            }
        }
    }

    private IEnumerable<TestContent> Contents => _volumes.Values.SelectMany(volume => volume.Revisions.Select(kept => kept.Content).Prepend(volume.Content));

    private long UsedBytes => Contents.DistinctBy(content => content.Id).Sum(content => content.Bytes);

    public bool CanBeEphemeral => TestPoolDriver.CanEncrypt(Record.Driver);

    public void Reconfigure(PoolRecord record) => _configured = Configured.Of(record);

    public long UsageBytes(Vid vid)
    {
        lock (_gate)
        {
            return _volumes.TryGetValue(vid, out var volume) ? volume.Content.Bytes : 0;
        }
    }

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var vid = VidOf(volume);
            RefuseEphemeral(volume);
            Fail(FaultsOf(volume).Create);
            NeedSpace(volume);
            lock (_gate)
            {
                if (!_volumes.TryAdd(vid, new TestVolume(TestContent.New(0, volume.SizeBytes))))
                {
                    throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s exists already", vid.Value);
                }
                _removed.Remove(vid);
            }
        },
        cancellation);

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var vid = VidOf(volume);
            lock (_gate)
            {
                _volumes.Remove(vid);
                _removed.Add(vid);
            }
        },
        cancellation);

    public BootImage OpenKernel(string kernel) => throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s holds no kernels", Record.Name.Value);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static void Fail(string? message)
    {
        if (message is not null)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "%s", message);
        }
    }

    private void RefuseEphemeral(VolumeRecord volume)
    {
        if (volume.Ephemeral && (!CanBeEphemeral || volume.SaveOnStop || volume.SnapOnStart))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s cannot be ephemeral", VidOf(volume).Value);
        }
    }

    private static long? Number(PoolRecord record, string parameter, bool allowNegative = false)
    {
        try
        {
            return record.Config.TryGetValue(parameter, out var text) ? Parse.Number(text, parameter, allowNegative) : null;
        }
        catch (MgmtException error)
        {
            throw new MgmtException(error, ErrorCode.StoragePoolException, "%s", error.Message);
        }
    }

    private StorageFaults FaultsOf(VolumeRecord volume) => _behaviour(volume).Faults.Storage;

    private int KeepOf(VolumeRecord volume) => volume.RevisionsToKeep ?? _configured.RevisionsToKeep;

    private void NeedSpace(VolumeRecord volume)
    {
        if (FaultsOf(volume).NoSpace)
        {
            throw NoSpace();
        }
    }

    private MgmtException NoSpace() => new(ErrorCode.MgmtNoSpaceError, "No space left in pool %s", Record.Name.Value);

    private Vid VidOf(VolumeRecord volume) =>
        volume.Vid ?? throw new MgmtException(ErrorCode.StoragePoolException, "A volume of pool %s needs an id", Record.Name.Value);

    private TestVolume Get(VolumeRecord volume) => Get(VidOf(volume), volume.SizeBytes);

    private TestVolume Get(Vid vid, long sizeBytes)
    {
        if (_removed.Contains(vid))
        {
            throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", vid.Value);
        }
        if (!_volumes.TryGetValue(vid, out var volume))
        {
            _volumes[vid] = volume = new TestVolume(TestContent.New(0, sizeBytes));
        }
        return volume;
    }

    private sealed record Configured(PoolRecord Record, int RevisionsToKeep)
    {
        public static Configured Of(PoolRecord record) => Number(record, "revisions_to_keep", allowNegative: true) switch
        {
            null => new(record, 1),
            >= -1 and <= int.MaxValue and var count => new(record, (int)count),
            _ => throw new MgmtException(ErrorCode.StoragePoolException, "revisions_to_keep is -1 or more"),
        };
    }
}
