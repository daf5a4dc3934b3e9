using System.Collections.Immutable;
using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>What one lvs said of a thin pool. Immutable: readers take a reference.</summary>
internal sealed record LvmFacts(PoolUsage Usage, LogicalVolume? ThinPool, ImmutableSortedDictionary<Vid, LvmVolume> ById, ImmutableArray<LogicalVolume> Others)
{
    internal static LvmFacts None { get; } = new(new PoolUsage(null, null), null, ImmutableSortedDictionary<Vid, LvmVolume>.Empty, []);

    internal LvmVolume Of(Vid vid) => ById.GetValueOrDefault(vid) ?? LvmVolume.None;

    /// <summary>Sorts a report out: only what has our tag, a name of ours and lies in this thin pool is ours.</summary>
    internal static LvmFacts From(ImmutableArray<LogicalVolume> report, string thinPool)
    {
        var pool = report.FirstOrDefault(volume => volume.Name == thinPool && volume.IsThinPool);
        var volumes = new Dictionary<Vid, LvmVolume>();
        var others = ImmutableArray.CreateBuilder<LogicalVolume>();
        foreach (var volume in report.Where(volume => volume.Pool == thinPool))
        {
            if (volume.Tags.Contains(LvmTags.Ours) && LvmNames.Owner(volume.Name) is { } part)
            {
                volumes[part.Vid] = (volumes.GetValueOrDefault(part.Vid) ?? LvmVolume.None).With(part, volume);
            }
            else
            {
                others.Add(volume);
            }
        }
        var usage = new PoolUsage(pool?.SizeBytes, pool?.UsedBytes)
        {
            MetadataSizeBytes = pool?.MetadataSizeBytes,
            MetadataUsedBytes = pool is { MetadataPercent: { } percent, MetadataSizeBytes: { } size } ? (long)(size * percent / 100) : null,
        };
        return new LvmFacts(usage, pool, volumes.ToImmutableSortedDictionary(), others.ToImmutable());
    }
}

/// <summary>The logical volumes of a volume; revisions by id.</summary>
internal sealed record LvmVolume(LogicalVolume? Content, LogicalVolume? Run, LogicalVolume? New, LogicalVolume? Old, ImmutableSortedDictionary<RevisionId, LogicalVolume> Kept)
{
    internal static LvmVolume None { get; } = new(null, null, null, null, ImmutableSortedDictionary<RevisionId, LogicalVolume>.Empty);

    internal bool IsDirect => Content is { } content && content.Tags.Contains(LvmTags.Direct);

    /// <summary>The highest id that a revision was given, 0 when there was none.</summary>
    internal ulong LastId => All.Select(LvmTags.LastOf).Concat(Kept.Keys.Select(id => ulong.Parse(id.Value, CultureInfo.InvariantCulture))).DefaultIfEmpty().Max();

    internal ImmutableArray<Revision> Revisions => [.. Kept.Select(pair => LvmTags.Revision(pair.Value, pair.Key)).OfType<Revision>()];

    /// <summary>All of them, the content last: while it is there, so is the volume.</summary>
    internal IEnumerable<LogicalVolume> All => new[] { New, Old, Run }.OfType<LogicalVolume>().Concat(Kept.Values).Concat(new[] { Content }.OfType<LogicalVolume>());

    internal LvmVolume With(LvmPart part, LogicalVolume volume) => part.Role switch
    {
        LvmRole.Content => this with { Content = volume },
        LvmRole.Run => this with { Run = volume },
        LvmRole.New => this with { New = volume },
        LvmRole.Old => this with { Old = volume },
        _ => this with { Kept = Kept.SetItem(part.Revision!.Value, volume) },
    };
}
