namespace Mgmt.Policy;

/// <summary>Where the bytes of rule files come from. Paths are absolute and normalised.</summary>
internal interface IPolicyFiles
{
    /// <summary>The names of the regular files (links followed) in a directory; NotAFile when there is no such directory.</summary>
    FileStatus List(string directory, out IReadOnlyList<string> names);

    /// <summary>The names of the links in a directory that lead to no regular file: nowhere, in a circle, to a directory.</summary>
    IReadOnlyList<string> LeadingNowhere(string directory);

    /// <summary>The path with every link in it followed, as far as it exists.</summary>
    string Resolve(string path);

    FileStatus Read(string path, out ReadOnlyMemory<byte> bytes);
}
