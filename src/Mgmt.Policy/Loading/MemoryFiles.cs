namespace Mgmt.Policy;

/// <summary>Files held in memory; every directory exists.</summary>
internal sealed class MemoryFiles(IReadOnlyDictionary<string, ReadOnlyMemory<byte>> files) : IPolicyFiles
{
    public FileStatus List(string directory, out IReadOnlyList<string> names)
    {
        names = [.. files.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path))];
        return FileStatus.Found;
    }

    public FileStatus Read(string path, out ReadOnlyMemory<byte> bytes)
    {
        if (!files.TryGetValue(path, out bytes))
            return FileStatus.NotAFile;
        return bytes.Length > PolicyLimits.FileBytes ? FileStatus.TooLarge : FileStatus.Found;
    }
}
