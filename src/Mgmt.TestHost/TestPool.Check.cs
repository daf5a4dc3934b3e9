using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Comparing what is there with the records.</summary>
internal sealed partial class TestPool
{
    public Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            var records = known.Where(volume => volume.Vid is not null).ToDictionary(VidOf);
            lock (_gate)
            {
                return records.OrderBy(volume => volume.Key).Where(volume => !inUse.Contains(volume.Key)).SelectMany(volume => Check(volume.Value, mend))
                    .Concat(_volumes.Keys.Where(vid => !records.ContainsKey(vid)).Select(vid => new PoolFinding("unknown", vid.Value, "no record names it", false)))
                    .ToImmutableArray();
            }
        },
        cancellation);

    private IEnumerable<PoolFinding> Check(VolumeRecord volume, bool mend)
    {
        var vid = VidOf(volume);
        if (volume is { SaveOnStop: true, SnapOnStart: false } && _removed.Contains(vid))
        {
            yield return new PoolFinding("missing", vid.Value, "it was removed", false);
        }
        if (!_volumes.TryGetValue(vid, out var entry))
        {
            yield break;
        }
        if (entry.IsInUse)
        {
            if (mend)
            {
                Stop(volume, entry);
            }
            yield return volume.SaveOnStop
                ? new PoolFinding("unclean", vid.Value, "no stop followed its last run; what that wrote is kept", mend)
                : new PoolFinding("leftover", vid.Value, "files of a run that is over", mend);
        }
        if (volume.SaveOnStop && entry.Content.SizeBytes is var sizeBytes && sizeBytes != volume.SizeBytes)
        {
            yield return new PoolFinding("size", vid.Value, $"the disk has {sizeBytes} bytes, the record says {volume.SizeBytes}", false) { SizeBytes = sizeBytes };
        }
    }
}
