using System.Collections.Immutable;
using System.Globalization;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>The paths of a volume's files. SOURCE: docs/storage.md, "On disk".</summary>
internal sealed record VolumeFiles
{
    private const string RunMark = ".run", BaseMark = ".base", CommitMark = ".commit", DirectSuffix = ".direct", NextMark = ".next@", NoRevision = "none", GoneSuffix = "@gone";
    private const int ComponentLimit = 50;

    private VolumeFiles(string stem, string suffix)
    {
        Stem = stem;
        Suffix = suffix;
        Nexts = [.. ((RevisionCause?[])[null, .. Enum.GetValues<RevisionCause>().Cast<RevisionCause?>()]).Select(cause => (cause, Next(cause)))];
    }

    /// <summary>What all of them begin with.</summary>
    internal string Stem { get; }

    /// <summary>What the images end in.</summary>
    internal string Suffix { get; }

    /// <summary>What the volume holds.</summary>
    internal string Image => Stem + Suffix;

    /// <summary>What a run writes.</summary>
    internal string Run => Stem + RunMark + Suffix;

    /// <summary>A hard link to the image that <see cref="Run"/> was made from.</summary>
    internal string Base => Stem + BaseMark + Suffix;

    /// <summary>A finished run that is being written into <see cref="Image"/>.</summary>
    internal string Commit => Stem + CommitMark + Suffix;

    /// <summary>Empty; there while a run writes <see cref="Image"/> itself.</summary>
    internal string Direct => Stem + DirectSuffix;

    /// <summary>What takes the image's place next, and as what the image is kept then; see <see cref="Next"/>.</summary>
    internal ImmutableArray<(RevisionCause? KeptAs, string File)> Nexts { get; }

    /// <summary>All but the revisions; the image last.</summary>
    internal IEnumerable<string> All => [Run, Commit, .. Nexts.Select(next => next.File), Base, Direct, Image];

    /// <summary>New content, complete, that is to take the image's place. Its name says whether and as what the image is kept.</summary>
    internal string Next(RevisionCause? keptAs) => Stem + NextMark + (keptAs is { } cause ? RevisionFile.Word(cause) : NoRevision) + Suffix;

    /// <summary>Empty; there while the newest revision is a removed one, so that its id is not given out again.</summary>
    internal string Gone(long number) => string.Create(CultureInfo.InvariantCulture, $"{Stem}{RevisionFile.Mark}{number}{GoneSuffix}");

    /// <summary>The highest id of a removed revision that is remembered, and its marker; 0 and null when there is none.</summary>
    internal (long Number, string? File) LastGone()
    {
        var best = (Number: 0L, File: (string?)null);
        var directory = Path.GetDirectoryName(Stem)!;
        if (!Directory.Exists(directory))
        {
            return best;
        }
        foreach (var file in Directory.EnumerateFiles(directory, Path.GetFileName(Stem) + RevisionFile.Mark + "*" + GoneSuffix))
        {
            if (GoneNumber(file) is { } number && number > best.Number)
            {
                best = (number, file);
            }
        }
        return best;
    }

    internal static VolumeFiles Of(string root, Vid vid, string suffix)
    {
        var parts = vid.Value.Split('/');
        // Without this two volumes could claim one file: the run of "a" and the image of "a.run".
        var taken = ((string[])[RunMark, BaseMark, CommitMark]).Any(mark => parts[^1].EndsWith(mark, StringComparison.Ordinal));
        if (taken || parts[^1].Length > ComponentLimit || parts.Any(part => part.Length == 0 || part.StartsWith('.') || part.EndsWith(suffix, StringComparison.Ordinal)))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "This pool cannot hold a volume of that id: '%s'", vid.Value);
        }
        return new VolumeFiles(Path.Combine(root, vid.Value), suffix);
    }

    /// <summary>The volume that a file below the root belongs to; null for files of others.</summary>
    internal static Vid? Owner(string root, string file, string suffix)
    {
        var name = Path.GetRelativePath(root, file);
        if (StemOf(name, suffix) is not { } stem)
        {
            return null;
        }
        try
        {
            var vid = Vid.Parse(stem);
            var files = Of(root, vid, suffix);
            var mine = files.All.Contains(file) || RevisionFile.Parse(files, file) is not null || files.GoneNumber(file) is not null;
            return mine ? vid : null;
        }
        catch (MgmtException)
        {
            return null;
        }
    }

    private static string? StemOf(string name, string suffix)
    {
        if (name.IndexOf('@') is >= 0 and var at)
        {
            var mark = Math.Max(name.LastIndexOf(RevisionFile.Mark, at, StringComparison.Ordinal), name.LastIndexOf(NextMark, at, StringComparison.Ordinal));
            return mark < 0 ? null : name[..mark];
        }
        foreach (var end in (ReadOnlySpan<string>)[RunMark + suffix, CommitMark + suffix, BaseMark + suffix, DirectSuffix, suffix])
        {
            if (name.EndsWith(end, StringComparison.Ordinal))
            {
                return name[..^end.Length];
            }
        }
        return null;
    }

    private long? GoneNumber(string file)
    {
        var start = Stem.Length + RevisionFile.Mark.Length;
        return file.Length > start + GoneSuffix.Length
            && long.TryParse(file[start..^GoneSuffix.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && Gone(number) == file
            ? number
            : null;
    }
}
