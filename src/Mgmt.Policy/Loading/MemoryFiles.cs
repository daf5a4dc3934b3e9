namespace Mgmt.Policy;

/// <summary>Files held in memory. A directory exists when it is named or when there is a file below it.</summary>
internal sealed class MemoryFiles(IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files, IReadOnlySet<string> directories) : IPolicyFiles
{
    /// <summary>Files that were read through a link to somewhere outside of the policy directories.</summary>
    public IReadOnlySet<string> LinkedOut { get; init; } = new HashSet<string>(StringComparer.Ordinal);

    public FileStatus List(string directory, out IReadOnlyList<string> names)
    {
        names = [.. files.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path))];
        var exists = names.Count > 0 || directories.Contains(directory) || files.Keys.Any(path => path.StartsWith(directory + "/", StringComparison.Ordinal));
        return exists ? FileStatus.Found : FileStatus.NotAFile;
    }

    public IReadOnlyList<string> LeadingNowhere(string directory) => [];

    public string Resolve(string path) => LinkedOut.Contains(path) ? "/" : path;

    public FileStatus Read(string path, out ReadOnlyMemory<byte> bytes)
    {
        if (!files.TryGetValue(path, out bytes))
            return FileStatus.NotAFile;
        return bytes.Length > PolicyLimits.FileBytes ? FileStatus.TooLarge : FileStatus.Found;
    }
}
