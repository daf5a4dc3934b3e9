using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>
/// A pool that remembers of its volumes only that they are there and how much was put into them. A volume it has never
/// heard of was made before the daemon was restarted and is taken as it comes; one that was removed is not found.
/// </summary>
internal sealed class TestPool : IStoragePool
{
    private const long DefaultSizeBytes = 1L << 40;

    private readonly Lock _gate = new();
    private readonly Func<VolumeRecord, StorageFaults> _faults;
    private readonly SortedDictionary<Vid, Content> _contents = [];
    private readonly HashSet<Vid> _removed = [];
    private readonly long _sizeBytes;

    public TestPool(PoolRecord record, IEnumerable<VolumeRecord> volumes, Func<VolumeRecord, StorageFaults> faults)
    {
        Record = record;
        _faults = faults;
        try
        {
            _sizeBytes = record.Config.TryGetValue("size", out var size) ? Parse.Number(size, "size") : DefaultSizeBytes;
        }
        catch (MgmtException error)
        {
            throw new MgmtException(error, ErrorCode.StoragePoolException, "%s", error.Message);
        }
        foreach (var volume in volumes)
        {
            _contents[volume.Vid!.Value] = new Content();
        }
    }

    public PoolRecord Record { get; }

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
                return [.. _contents.Keys];
            }
        }
    }

    private long UsedBytes => _contents.Values.Sum(content => content.Bytes);

    public long UsageBytes(Vid vid)
    {
        lock (_gate)
        {
            return _contents.TryGetValue(vid, out var content) ? content.Bytes : 0;
        }
    }

    public Task CreateAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var vid = VidOf(volume);
            Fail(_faults(volume).Create);
            NeedSpace(volume);
            lock (_gate)
            {
                if (!_contents.TryAdd(vid, new Content()))
                {
                    throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s exists already", vid.Value);
                }
                _removed.Remove(vid);
            }
        },
        cancellation);

    public async Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        var vid = VidOf(volume);
        Fail(_faults(volume).Import);
        NeedSpace(volume);
        lock (_gate)
        {
            ThrowIfInUse(vid, Get(vid));
            if (UsedBytes - Get(vid).Bytes > _sizeBytes - sizeBytes)
            {
                throw NoSpace();
            }
        }
        await CountAsync(data, sizeBytes, cancellation);
        lock (_gate)
        {
            var content = Get(vid);
            ThrowIfInUse(vid, content);
            content.Bytes = sizeBytes;
            content.Version++;
        }
    }

    public Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var vid = VidOf(volume);
            lock (_gate)
            {
                _contents.Remove(vid);
                _removed.Add(vid);
            }
        },
        cancellation);

    public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now<OpenVolume>(
        () =>
        {
            var vid = VidOf(volume);
            Fail(_faults(volume).Start);
            NeedSpace(volume);
            lock (_gate)
            {
                // The source first: a start that fails changes nothing.
                var source = volume.Source is { } from ? Get(from) : null;
                var content = Get(vid);
                content.IsInUse = true;
                if (source is not null)
                {
                    content.SourceVersion = source.Version;
                }
            }
            return new OpenVolume(volume.Name, !volume.Writable, volume.SizeBytes, []);
        },
        cancellation);

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var vid = VidOf(volume);
            Fail(_faults(volume).Stop);
            lock (_gate)
            {
                if (_contents.TryGetValue(vid, out var content) && content.IsInUse)
                {
                    content.IsInUse = false;
                    content.SourceVersion = null;
                    if (volume.SaveOnStop)
                    {
                        content.Version++;
                    }
                }
            }
        },
        cancellation);

    public bool IsOutdated(VolumeRecord volume)
    {
        lock (_gate)
        {
            return volume is { Vid: { } vid, Source: { } source }
                && _contents.TryGetValue(vid, out var content) && content.SourceVersion is { } version
                && (!_contents.TryGetValue(source, out var now) || now.Version != version);
        }
    }

    public BootImage OpenKernel(string kernel) => throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s holds no kernels", Record.Name.Value);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Reads to the end, or to the first byte too many.</summary>
    private static async Task CountAsync(PipeReader data, long sizeBytes, CancellationToken cancellation)
    {
        var copied = 0L;
        while (true)
        {
            var read = await data.ReadAsync(cancellation);
            copied += read.Buffer.Length;
            data.AdvanceTo(read.Buffer.End);
            if (copied > sizeBytes)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "too much data (expected %s bytes)", $"{sizeBytes}");
            }
            if (read.IsCanceled)
            {
                throw new MgmtException(ErrorCode.MgmtCancelledError, "The import was cancelled");
            }
            if (read.IsCompleted)
            {
                break;
            }
        }
        if (copied < sizeBytes)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "not enough data (copied %s bytes, expected %s bytes)", $"{copied}", $"{sizeBytes}");
        }
    }

    private static void Fail(string? message)
    {
        if (message is not null)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "%s", message);
        }
    }

    private void NeedSpace(VolumeRecord volume)
    {
        if (_faults(volume).NoSpace)
        {
            throw NoSpace();
        }
    }

    private MgmtException NoSpace() => new(ErrorCode.MgmtNoSpaceError, "No space left in pool %s", Record.Name.Value);

    private Vid VidOf(VolumeRecord volume) =>
        volume.Vid ?? throw new MgmtException(ErrorCode.StoragePoolException, "A volume of pool %s needs an id", Record.Name.Value);

    private Content Get(Vid vid)
    {
        if (_removed.Contains(vid))
        {
            throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", vid.Value);
        }
        if (!_contents.TryGetValue(vid, out var content))
        {
            _contents[vid] = content = new Content();
        }
        return content;
    }

    private static void ThrowIfInUse(Vid vid, Content content)
    {
        if (content.IsInUse)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before importing its data", vid.Value);
        }
    }

    private sealed class Content
    {
        public long Bytes { get; set; }
        public int Version { get; set; }
        public int? SourceVersion { get; set; }
        public bool IsInUse { get; set; }
    }
}
