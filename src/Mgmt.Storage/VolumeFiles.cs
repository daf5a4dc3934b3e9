using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>The paths of a volume's files. SOURCE: docs/storage.md, "On disk".</summary>
/// <param name="Image">What the volume holds.</param>
/// <param name="Run">What a run writes, on top of <paramref name="Base"/> or of nothing.</param>
/// <param name="Base">A hard link to the image that <paramref name="Run"/> was made from.</param>
/// <param name="Commit">A finished run that is being written into <paramref name="Image"/>.</param>
/// <param name="Direct">Empty; there while a run writes <paramref name="Image"/> itself.</param>
internal sealed record VolumeFiles(string Image, string Run, string Base, string Commit, string Direct)
{
    private const string ImageSuffix = ".qcow2", RunSuffix = ".run.qcow2", BaseSuffix = ".base.qcow2", CommitSuffix = ".commit.qcow2", DirectSuffix = ".direct";

    internal IEnumerable<string> All => [Run, Commit, Base, Direct, Image];

    internal static VolumeFiles Of(string root, Vid vid)
    {
        // Without this two volumes could claim one file: the run of "a" and the image of "a.run".
        var taken = vid.Value.EndsWith(".run", StringComparison.Ordinal) || vid.Value.EndsWith(".base", StringComparison.Ordinal)
            || vid.Value.EndsWith(".commit", StringComparison.Ordinal);
        if (taken || vid.Value.Length == 0 || vid.Value.Split('/').Any(part => part.StartsWith('.') || part.EndsWith(ImageSuffix, StringComparison.Ordinal)))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "This pool cannot hold a volume of that id: '%s'", vid.Value);
        }
        var stem = Path.Combine(root, vid.Value);
        return new VolumeFiles(stem + ImageSuffix, stem + RunSuffix, stem + BaseSuffix, stem + CommitSuffix, stem + DirectSuffix);
    }

    /// <summary>The volume that a file below the root belongs to; null for files of others.</summary>
    internal static Vid? Owner(string root, string file)
    {
        var name = Path.GetRelativePath(root, file);
        foreach (var suffix in (ReadOnlySpan<string>)[RunSuffix, CommitSuffix, BaseSuffix, ImageSuffix])
        {
            if (!name.EndsWith(suffix, StringComparison.Ordinal))
            {
                continue;
            }
            try
            {
                var vid = Vid.Parse(name[..^suffix.Length]);
                return Of(root, vid) is not null ? vid : null;
            }
            catch (MgmtException)
            {
                return null;
            }
        }
        return null;
    }
}
