using Mgmt.Core;
namespace Mgmt.Policy;

/// <summary>Files on disk. Only regular files are opened: a FIFO would block the load.</summary>
internal sealed class DiskFiles : IPolicyFiles
{
    public FileStatus List(string directory, out IReadOnlyList<string> names)
    {
        names = [];
        if (File.Exists(directory))
            return FileStatus.NotAFile;
        try
        {
            names = [.. Directory.EnumerateFileSystemEntries(directory, "*", Everything).Where(IsRegularFile).Select(path => Path.GetFileName(path))];
            return FileStatus.Found;
        }
        catch (DirectoryNotFoundException)
        {
            return FileStatus.NotAFile;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return FileStatus.Unreadable;
        }
    }

    public IReadOnlyList<string> LeadingNowhere(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(directory, "*", Everything).Where(path => new FileInfo(path).LinkTarget is not null && !IsRegularFile(path)).Select(path => Path.GetFileName(path))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    public string Resolve(string path) => NativePath.Resolve(path);

    public FileStatus Read(string path, out ReadOnlyMemory<byte> bytes)
    {
        bytes = default;
        if (!IsRegularFile(path))
            return FileStatus.NotAFile;
        try
        {
            using var handle = File.OpenHandle(path);
            return ReadAll(handle, out bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return FileStatus.Unreadable;
        }
    }

    // AttributesToSkip is empty: hidden files are the loader's business, and a link's own attributes say nothing.
    private static readonly EnumerationOptions Everything = new() { AttributesToSkip = 0, IgnoreInaccessible = false };

    private static FileStatus ReadAll(Microsoft.Win32.SafeHandles.SafeFileHandle handle, out ReadOnlyMemory<byte> bytes)
    {
        bytes = default;
        // One byte more than it says, so that a file which does not grow is read to its end in one go.
        var buffer = new byte[Math.Min(RandomAccess.GetLength(handle), PolicyLimits.FileBytes) + 1];
        var length = 0;
        while (true)
        {
            var read = RandomAccess.Read(handle, buffer.AsSpan(length), length);
            length += read;
            if (length > PolicyLimits.FileBytes)
                return FileStatus.TooLarge;
            if (read == 0)
                break;
            if (length == buffer.Length)
                Array.Resize(ref buffer, Math.Min(buffer.Length * 2 + 4096, PolicyLimits.FileBytes + 1));
        }
        bytes = buffer.AsMemory(0, length);
        return FileStatus.Found;
    }

    private static bool IsRegularFile(string path) => FileStat.TryOf(path, followLinks: true, out var stat) && stat.IsFile;
}
