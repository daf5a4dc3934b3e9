using System.Collections.Immutable;

namespace Mgmt.Policy;

/// <summary>Where a set is loaded from: directories in order of precedence, on disk or in memory.</summary>
public sealed class PolicySource
{
    internal PolicySource(ImmutableArray<PolicyDirectory> directories, IPolicyFiles files)
    {
        Directories = directories;
        Files = files;
    }

    internal ImmutableArray<PolicyDirectory> Directories { get; }

    internal IPolicyFiles Files { get; }

    /// <summary>In place of the options' legacy directory; null for that one.</summary>
    internal PolicyDirectory? Legacy { get; init; }

    /// <summary>Directories on disk, the first one winning: a file of it hides the same name in the later ones.</summary>
    /// <param name="directories">The runtime directory first, then the configured ones.</param>
    public static PolicySource FromDirectories(params IReadOnlyList<PolicyDirectory> directories) =>
        new([.. directories.Select(d => d with { Path = Normalise(d.Path) })], new DiskFiles());

    /// <summary>One directory in memory.</summary>
    /// <param name="files">Path relative to the directory (`30-user.policy`, `include/x`) to content.</param>
    /// <param name="root">The directory's absolute path, for absolute includes.</param>
    public static PolicySource FromFiles(IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files, string root = "/etc/mgmt/policy.d")
    {
        ArgumentNullException.ThrowIfNull(files);
        root = Normalise(root);
        var byPath = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        foreach (var (name, bytes) in files)
            byPath[Path.GetFullPath(name, root)] = bytes;
        return new([new PolicyDirectory(root)], new MemoryFiles(byPath, new HashSet<string>(StringComparer.Ordinal) { root }));
    }

    /// <summary>The same source with one file changed, to check a change before it is made.</summary>
    /// <param name="path">Absolute, or relative to the last directory.</param>
    /// <param name="bytes">The file's new content; null removes it.</param>
    public PolicySource With(string path, ReadOnlyMemory<byte>? bytes) =>
        new(Directories, new OverlayFiles(Files, Path.GetFullPath(path, Directories[^1].Path), bytes)) { Legacy = Legacy };

    private static string Normalise(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
}
