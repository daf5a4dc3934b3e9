using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>What a pool's directory held when it was last looked at. Immutable: readers take a reference.</summary>
internal sealed record PoolFacts(PoolUsage Usage, ImmutableSortedDictionary<Vid, VolumeFacts> ById)
{
    /// <summary>The ids, sorted.</summary>
    internal ImmutableArray<Vid> Volumes { get; } = [.. ById.Keys];

    internal VolumeFacts? Find(Vid vid) => ById.GetValueOrDefault(vid);
}

/// <summary>What is known of a volume: bytes on disk, which file its image is and which one its run was made from, its revisions, oldest first.</summary>
internal sealed record VolumeFacts(long UsedBytes, FileStatus.Identity? Image, FileStatus.Identity? Base, ImmutableArray<Revision> Revisions);

/// <summary>Keeps <see cref="PoolFacts"/>: one volume after each operation, all of them now and then.</summary>
internal sealed class PoolIndex(string root, IImageFormat format)
{
    private static readonly EnumerationOptions Walk = new()
    {
        RecurseSubdirectories = true,
        IgnoreInaccessible = true,
        // Symbolic links are not followed; nothing else is left out.
        AttributesToSkip = FileAttributes.ReparsePoint,
    };

    private readonly Lock _gate = new();
    private long _updates;
    private volatile PoolFacts _facts = new(new PoolUsage(null, null), ImmutableSortedDictionary<Vid, VolumeFacts>.Empty);

    internal PoolFacts Facts => _facts;

    /// <summary>Looks at one volume and at the disk's space.</summary>
    internal void Update(Vid vid)
    {
        var usage = Space();
        lock (_gate)
        {
            _updates++;
            // Looked at under the gate: of two updates of a volume the later look is the one that stays.
            var found = Look(vid);
            _facts = new PoolFacts(usage, found is null ? _facts.ById.Remove(vid) : _facts.ById.SetItem(vid, found));
        }
    }

    /// <summary>Looks at all volumes. An operation that ended meanwhile knows better: then this look is dropped.</summary>
    internal void Scan()
    {
        var updates = Interlocked.Read(ref _updates);
        var found = ImmutableSortedDictionary.CreateBuilder<Vid, VolumeFacts>();
        foreach (var file in Directory.EnumerateFiles(root, "*" + format.Suffix, Walk))
        {
            if (VolumeFiles.Owner(root, file, format.Suffix) is { } vid && !found.ContainsKey(vid) && Look(vid) is { } facts)
            {
                found.Add(vid, facts);
            }
        }
        var usage = Space();
        lock (_gate)
        {
            _facts = new PoolFacts(usage, _updates == updates ? found.ToImmutable() : _facts.ById);
        }
    }

    private VolumeFacts? Look(Vid vid)
    {
        var files = VolumeFiles.Of(root, vid, format.Suffix);
        var image = FileStatus.Of(files.Image);
        var revisions = RevisionFile.List(files);
        // The base is a second name of a file that counts elsewhere, or as a revision.
        var own = ((IEnumerable<string>)[files.Run, files.Commit, .. files.Nexts.Select(next => next.File), .. revisions.Select(revision => revision.File)])
            .Select(FileStatus.Of).Append(image).OfType<FileStatus>().DistinctBy(status => status.Id).ToList();
        return own.Count == 0
            ? null
            : new VolumeFacts(own.Sum(status => status.UsedBytes), image?.Id, FileStatus.Of(files.Base)?.Id, [.. revisions.Select(revision => Revision(vid, revision))]);
    }

    private Revision Revision(Vid vid, RevisionFile revision) => new(revision.Id, revision.Created, revision.Traits, SizeOf(vid, revision.File));

    // A damaged one is listed; whoever uses it gets the error.
    private long SizeOf(Vid vid, string file)
    {
        try
        {
            using var handle = PoolDirectory.Open(file, write: false);
            return format.SizeOf(handle, vid, isRun: false);
        }
        catch (Exception failure) when (failure is MgmtException or IOException)
        {
            return 0;
        }
    }

    private PoolUsage Space()
    {
        var drive = new DriveInfo(root);
        return new PoolUsage(drive.TotalSize, drive.TotalSize - drive.AvailableFreeSpace);
    }
}
