using System.Formats.Tar;

namespace Mgmt.Core;

/// <summary>
/// A directory as a tar stream, and back. Reading is for streams from anybody: nothing is written outside the directory, through a link, or over something else. Directories, plain
/// files and symbolic links come through, with their permissions but set-uid and the like; what else a directory holds is left out, and what else a stream holds is refused.
/// </summary>
public static class TarTree
{
    /// <summary>The most entries.</summary>
    public const int MaxEntries = 100_000;

    private const int MaxNameLength = 1024;
    private const UnixFileMode Permissions = (UnixFileMode)0x1FF;

    /// <summary>Writes a directory's content. Gives how many entries were left out. ERRORS: QubesException for too many, IOException.</summary>
    public static async Task<int> WriteAsync(string directory, Stream output, CancellationToken cancellation)
    {
        var (written, left) = (0, 0);
        await using var writer = new TarWriter(output, TarEntryFormat.Pax, leaveOpen: true);
        var within = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None, IgnoreInaccessible = false, ReturnSpecialDirectories = false };
        foreach (var path in Directory.EnumerateFileSystemEntries(directory, "*", within))
        {
            cancellation.ThrowIfCancellationRequested();
            if (++written > MaxEntries)
            {
                throw new MgmtException(ErrorCode.QubesException, "More than %s files and directories", $"{MaxEntries}");
            }
            left += await TryWriteAsync(writer, path, Path.GetRelativePath(directory, path), cancellation) ? 0 : 1;
        }
        return left;
    }

    /// <summary>Fills a directory that exists and is empty. ERRORS: QubesValueError for what is no tar or holds what is refused, IOException.</summary>
    public static async Task ReadAsync(Stream input, string directory, CancellationToken cancellation)
    {
        var made = new HashSet<string>(StringComparer.Ordinal) { "" };
        try
        {
            await using var reader = new TarReader(input, leaveOpen: true);
            for (var n = 1; await reader.GetNextEntryAsync(copyData: false, cancellation) is { } entry; n++)
            {
                if (n > MaxEntries)
                {
                    throw new MgmtException(ErrorCode.QubesValueError, "More than %s files and directories", $"{MaxEntries}");
                }
                await TakeAsync(entry, directory, made, cancellation);
            }
        }
        catch (Exception bad) when (bad is FormatException or InvalidDataException or EndOfStreamException or ArgumentException or NotSupportedException)
        {
            throw new MgmtException(bad, ErrorCode.QubesValueError, "The data is no tar stream");
        }
    }

    private static async Task<bool> TryWriteAsync(TarWriter writer, string path, string name, CancellationToken cancellation)
    {
        var info = new FileInfo(path);
        if (info.LinkTarget is { } target)
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.SymbolicLink, name) { LinkName = target, ModificationTime = info.LastWriteTimeUtc }, cancellation);
            return true;
        }
        if (Directory.Exists(path))
        {
            await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.Directory, name + "/") { Mode = File.GetUnixFileMode(path) & Permissions, ModificationTime = info.LastWriteTimeUtc }, cancellation);
            return true;
        }
        if (!PlainFile.IsOne(path))
        {
            return false;
        }
        await using var data = File.OpenRead(path);
        var entry = new PaxTarEntry(TarEntryType.RegularFile, name) { Mode = File.GetUnixFileMode(path) & Permissions, ModificationTime = info.LastWriteTimeUtc, DataStream = data };
        await writer.WriteEntryAsync(entry, cancellation);
        return true;
    }

    private static async Task TakeAsync(TarEntry entry, string directory, HashSet<string> made, CancellationToken cancellation)
    {
        if (entry.EntryType is TarEntryType.GlobalExtendedAttributes)
        {
            return;
        }
        var name = Checked(entry.Name);
        var path = Path.Combine(directory, name);
        if (name.Length == 0 || (entry.EntryType == TarEntryType.Directory && made.Contains(name)))
        {
            return;
        }
        MakeParents(name, directory, made);
        RequireFree(path, name);
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                Directory.CreateDirectory(path, (entry.Mode & Permissions) | UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                made.Add(name);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile:
                await WriteFileAsync(entry, path, cancellation);
                break;
            case TarEntryType.SymbolicLink when entry.LinkName.Length is > 0 and <= MaxNameLength:
                File.CreateSymbolicLink(path, entry.LinkName);
                break;
            default:
                throw new MgmtException(ErrorCode.QubesValueError, "A tar stream of directories, plain files and symbolic links is taken; %s is something else", name);
        }
    }

    private static async Task WriteFileAsync(TarEntry entry, string path, CancellationToken cancellation)
    {
        // CreateNew follows no link and takes nothing that is there.
        await using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = entry.Mode & Permissions });
        if (entry.DataStream is { } data)
        {
            await data.CopyToAsync(file, cancellation);
        }
    }

    /// <summary>Only directories that were made here are gone through, hence no link.</summary>
    private static void MakeParents(string name, string directory, HashSet<string> made)
    {
        for (var slash = name.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = name.IndexOf('/', slash + 1))
        {
            var parent = name[..slash];
            if (!made.Contains(parent))
            {
                RequireFree(Path.Combine(directory, parent), parent);
                Directory.CreateDirectory(Path.Combine(directory, parent));
                made.Add(parent);
            }
        }
    }

    /// <summary>Making a directory where a link to one stands succeeds, and all below it would be written where the link leads.</summary>
    private static void RequireFree(string path, string name)
    {
        if (new FileInfo(path) is { Exists: true } or { LinkTarget: not null } || Directory.Exists(path))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "The tar stream has %s twice, or both as a directory and as something else", name);
        }
    }

    /// <summary>A relative name of plain words; "" for the directory itself.</summary>
    private static string Checked(string name)
    {
        var words = name.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(word => word != ".").ToArray();
        return name.StartsWith('/') || name.Length > MaxNameLength || name.Contains('\0', StringComparison.Ordinal) || words.Contains("..")
            ? throw new MgmtException(ErrorCode.QubesValueError, "The tar stream has a name that leads out of its directory, or is too long")
            : string.Join('/', words);
    }
}
