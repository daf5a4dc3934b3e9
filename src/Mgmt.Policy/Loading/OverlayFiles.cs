namespace Mgmt.Policy;

/// <summary>Other files with one of them replaced (or, with null bytes, removed): a set as it would be after a change.</summary>
internal sealed class OverlayFiles(IPolicyFiles inner, string changedPath, ReadOnlyMemory<byte>? changedBytes) : IPolicyFiles
{
    public FileStatus List(string directory, out IReadOnlyList<string> names)
    {
        var status = inner.List(directory, out names);
        if (Path.GetDirectoryName(changedPath) != directory || status is not (FileStatus.Found or FileStatus.NotAFile) || (status == FileStatus.NotAFile && changedBytes is null))
            return status;
        var name = Path.GetFileName(changedPath);
        var others = names.Where(other => other != name);
        names = changedBytes is null ? [.. others] : [.. others, name];
        return FileStatus.Found;
    }

    public IReadOnlyList<string> LeadingNowhere(string directory) => [.. inner.LeadingNowhere(directory).Where(name => Path.Join(directory, name) != changedPath)];

    // A change replaces a link that stands there.
    public string Resolve(string path) => path == changedPath ? Path.Join(inner.Resolve(Path.GetDirectoryName(path)!), Path.GetFileName(path)) : inner.Resolve(path);

    public FileStatus Read(string path, out ReadOnlyMemory<byte> bytes)
    {
        if (path != changedPath)
            return inner.Read(path, out bytes);
        bytes = changedBytes ?? default;
        if (changedBytes is null)
            return FileStatus.NotAFile;
        return bytes.Length > PolicyLimits.FileBytes ? FileStatus.TooLarge : FileStatus.Found;
    }
}
