namespace Mgmt.Core;

/// <summary>What something is in a directory, without opening it: a named pipe would be waited for, a device does what it likes.</summary>
public static class PlainFile
{
    /// <summary>Whether the path is a plain file, and no link, directory, pipe, socket or device.</summary>
    public static bool IsOne(string path) => FileStat.TryOf(path, followLinks: false, out var stat) && stat.IsFile;

    /// <summary>What the path takes on disk in bytes, itself only; 0 when nothing is there.</summary>
    public static long UsedBytes(string path) => FileStat.TryOf(path, followLinks: false, out var stat) ? stat.UsedBytes : 0;
}
