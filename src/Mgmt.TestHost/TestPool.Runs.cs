using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Runs: their start and what their stop keeps.</summary>
internal sealed partial class TestPool
{
    public Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            VidOf(volume);
            RefuseEphemeral(volume);
            Fail(FaultsOf(volume).Start);
            NeedSpace(volume);
            lock (_gate)
            {
                // The source first: a start that fails changes nothing.
                var source = volume.Source is { } from ? ReadySource(from, volume.SizeBytes) : null;
                var entry = Get(volume);
                entry.IsInUse = true;
                entry.IsDirect = volume is { Writable: true, SaveOnStop: true, SnapOnStart: false } && KeepOf(volume) == -1;
                entry.SourceContentId = source?.Content.Id ?? entry.SourceContentId;
                return new OpenVolume(volume.Name, !volume.Writable, volume.SaveOnStop ? entry.Content.SizeBytes : volume.SizeBytes, []);
            }
        },
        cancellation);

    public Task StopAsync(VolumeRecord volume, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var vid = VidOf(volume);
            Fail(FaultsOf(volume).Stop);
            lock (_gate)
            {
                if (_volumes.TryGetValue(vid, out var entry) && entry.IsInUse)
                {
                    Stop(volume, entry);
                }
            }
        },
        cancellation);

    public bool IsOutdated(VolumeRecord volume)
    {
        lock (_gate)
        {
            return volume is { Vid: { } vid, Source: { } source }
                && _volumes.TryGetValue(vid, out var entry) && entry.SourceContentId is { } began
                && (!_volumes.TryGetValue(source, out var now) || now.Content.Id != began);
        }
    }

    private void Stop(VolumeRecord volume, TestVolume entry)
    {
        if (volume.SaveOnStop)
        {
            Replace(volume, entry, entry.Content.Changed(entry.RunSizeBytes ?? entry.Content.SizeBytes), KeepOf(volume) > 0 ? RevisionCause.Stop : null);
        }
        entry.IsInUse = false;
        entry.IsDirect = false;
        entry.SourceContentId = null;
        entry.RunSizeBytes = null;
    }

    private TestVolume ReadySource(Vid vid, long sizeBytes)
    {
        var source = Get(vid, sizeBytes);
        return source.IsDirect
            ? throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s must be stopped before a snapshot of it can start", vid.Value)
            : source;
    }

    /// <summary>Gives a volume other content; what it held is kept, unless <paramref name="keptAs"/> is null.</summary>
    private void Replace(VolumeRecord volume, TestVolume entry, TestContent content, RevisionCause? keptAs)
    {
        if (keptAs is { } cause)
        {
            entry.Keep(entry.Content, RevisionTraits.Of(cause), _time.GetUtcNow());
        }
        entry.Content = content;
        entry.Prune(KeepOf(volume));
    }
}
