using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Other content for a stopped volume, and what is taken out of one.</summary>
internal sealed partial class TestPool
{
    private const int SectorBytes = 512;
    private const int Steps = 10;

    // What an export of any pool of the process holds: it has no files to say so.
    private static readonly ConditionalWeakTable<OpenVolume, TestContent> s_exports = [];

    public async Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        VidOf(volume);
        Fail(FaultsOf(volume).Import);
        NeedSpace(volume);
        var content = TestContent.New(sizeBytes, sizeBytes);
        lock (_gate)
        {
            ThrowIfInUse(volume, Get(volume));
            NeedRoom(volume, Get(volume), content);
        }
        await CountAsync(data, sizeBytes, progress, cancellation);
        lock (_gate)
        {
            var entry = Get(volume);
            ThrowIfInUse(volume, entry);
            Replace(volume, entry, content, KeptAs(volume));
        }
    }

    public async Task ResizeAsync(VolumeRecord volume, long sizeBytes, bool inUse, CancellationToken cancellation)
    {
        if (sizeBytes <= 0 || sizeBytes % SectorBytes != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The size of volume %s, %s bytes, is not a multiple of 512 above 0", VidOf(volume).Value, $"{sizeBytes}");
        }
        if (!volume.Writable)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot resize volume %s: it is read-only", VidOf(volume).Value);
        }
        VidOf(volume);
        Fail(FaultsOf(volume).Resize);
        NeedSpace(volume);
        await WorkAsync(volume, null, 0, cancellation);
        lock (_gate)
        {
            Resize(volume, inUse ? Get(volume) : volume.SaveOnStop ? GetStopped(volume) : null, sizeBytes, inUse);
        }
    }

    public Task<OpenVolume> ExportAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            Begin(volume, FaultsOf(volume).Export, needsSpace: false);
            lock (_gate)
            {
                var entry = Get(volume);
                if (revision is null && entry.IsDirect)
                {
                    ThrowIfInUse(volume, entry);
                }
                var content = revision is null ? entry.Content : Find(volume, entry, revision).Content;
                var open = new OpenVolume(volume.Name, ReadOnly: true, content.SizeBytes, []);
                s_exports.Add(open, content);
                return open;
            }
        },
        cancellation);

    public async Task<long> CloneAsync(VolumeRecord target, OpenVolume source, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        Begin(target, FaultsOf(target).CloneInto, needsSpace: true);
        var content = s_exports.TryGetValue(source, out var exported) ? exported : TestContent.New(source.SizeBytes, source.SizeBytes);
        lock (_gate)
        {
            NeedRoom(target, GetStopped(target), content);
        }
        await WorkAsync(target, progress, source.SizeBytes, cancellation);
        lock (_gate)
        {
            Replace(target, GetStopped(target), content, KeptAs(target));
            return content.SizeBytes;
        }
    }

    public async Task ClearAsync(VolumeRecord volume, CancellationToken cancellation)
    {
        Begin(volume, FaultsOf(volume).Clear, needsSpace: true);
        await WorkAsync(volume, null, 0, cancellation);
        lock (_gate)
        {
            var entry = GetStopped(volume);
            Replace(volume, entry, TestContent.New(0, entry.Content.SizeBytes), KeptAs(volume));
        }
    }

    private static void Resize(VolumeRecord volume, TestVolume? entry, long sizeBytes, bool inUse)
    {
        if (!inUse)
        {
            entry?.Content = entry.Content.Changed(sizeBytes);
            return;
        }
        if (sizeBytes < (entry!.RunSizeBytes ?? entry.Content.SizeBytes))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before it can shrink", volume.Vid!.Value.Value);
        }
        entry.RunSizeBytes = sizeBytes;
    }

    /// <summary>Reads to the end, or to the first byte too many.</summary>
    private static async Task CountAsync(PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        var copied = 0L;
        progress?.Report(new CopyProgress(0, sizeBytes));
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
            progress?.Report(new CopyProgress(copied, sizeBytes));
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

    /// <summary>Takes the time that the document gives to work on a volume, and tells of it on the way.</summary>
    private async Task WorkAsync(VolumeRecord volume, IProgress<CopyProgress>? progress, long totalBytes, CancellationToken cancellation)
    {
        var delay = _behaviour(volume).Delays.Storage;
        progress?.Report(new CopyProgress(0, totalBytes));
        for (var step = 1; step <= Steps && delay > TimeSpan.Zero; step++)
        {
            await _time.Wait(delay / Steps, cancellation);
            progress?.Report(new CopyProgress((long)((Int128)totalBytes * step / Steps), totalBytes));
        }
        await _time.Wait(TimeSpan.Zero, cancellation);
        progress?.Report(new CopyProgress(totalBytes, totalBytes));
    }

    private void Begin(VolumeRecord volume, string? fault, bool needsSpace)
    {
        var vid = VidOf(volume);
        if (!volume.SaveOnStop)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s keeps nothing", vid.Value);
        }
        Fail(fault);
        if (needsSpace)
        {
            NeedSpace(volume);
        }
    }

    private void NeedRoom(VolumeRecord volume, TestVolume entry, TestContent content)
    {
        var freed = KeptAs(volume) is null && Contents.Count(held => held.Id == entry.Content.Id) == 1 ? entry.Content.Bytes : 0;
        if (!Contents.Any(held => held.Id == content.Id) && UsedBytes - freed > _sizeBytes - content.Bytes)
        {
            throw NoSpace();
        }
    }

    /// <summary>As what the content of a volume is kept that a caller replaces; null: it is not.</summary>
    private RevisionCause? KeptAs(VolumeRecord volume) => KeepOf(volume) > 0 ? RevisionCause.Import : null;

    private TestVolume GetStopped(VolumeRecord volume)
    {
        var entry = Get(volume);
        return entry.IsInUse ? throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s is not cleanly stopped", VidOf(volume).Value) : entry;
    }

    private void ThrowIfInUse(VolumeRecord volume, TestVolume entry)
    {
        if (entry.IsInUse)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before importing its data", VidOf(volume).Value);
        }
    }
}
