namespace Mgmt.Policy;

/// <summary>Files of two places: those below a directory, and all others.</summary>
internal sealed class FilesBelow(string directory, IPolicyFiles below, IPolicyFiles others) : IPolicyFiles
{
    public FileStatus List(string path, out IReadOnlyList<string> names) => Of(path).List(path, out names);

    public IReadOnlyList<string> LeadingNowhere(string path) => Of(path).LeadingNowhere(path);

    public string Resolve(string path) => Of(path).Resolve(path);

    public FileStatus Read(string path, out ReadOnlyMemory<byte> bytes) => Of(path).Read(path, out bytes);

    private IPolicyFiles Of(string path) => path == directory || path.StartsWith(directory + "/", StringComparison.Ordinal) ? below : others;
}
