using Mgmt.Core;


namespace Mgmt.Policy;

/// <summary>
/// The files on disk. The last of the configured directories is the one that is edited; in the ones before it a rule file hides
/// the file of the same name, and only an administrator of the host puts it there.
/// </summary>
public sealed class PolicyFolder(IReadOnlyList<PolicyDirectory> directories)
{
    private const string Suffix = ".policy";
    private const int MaxBytes = 16 * 1024 * 1024;
    private const UnixFileMode NewFile = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>All directories, the runtime one first.</summary>
    public IReadOnlyList<PolicyDirectory> Directories => directories;

    /// <summary>The one that is edited.</summary>
    public PolicyDirectory Writable => directories[^1];

    /// <summary>Where a file is, absolute.</summary>
    public string PathOf(PolicyFileName file) => Path.Join(Writable.Path, file.Path);

    /// <summary>The names of all files, ordinally. A directory that is not there has none.</summary>
    public IEnumerable<string> List(bool includes)
    {
        var directory = includes ? Path.Join(Writable.Path, "include") : Writable.Path;
        if (!Directory.Exists(directory))
        {
            return [];
        }
        return Directory.EnumerateFileSystemEntries(directory)
            .Where(path => DurableFile.Look(path, followLinks: true) is { IsRegularFile: true })
            .Select(path => Path.GetFileName(path))
            .Where(name => !name.StartsWith('.') && (includes || name.EndsWith(Suffix, StringComparison.Ordinal)))
            .Select(name => includes ? name : name[..^Suffix.Length])
            .Order(StringComparer.Ordinal);
    }

    /// <summary>The bytes of a file, null when there is none. ERRORS: QubesException for a link or something else that is no plain file.</summary>
    public byte[]? Read(PolicyFileName file)
    {
        var path = PathOf(file);
        if (DurableFile.Look(path, followLinks: false) is not { } facts)
        {
            return null;
        }
        if (!facts.IsRegularFile)
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is a link or no plain file; it is edited by hand on the host", file.Path);
        }
        if (new FileInfo(path).Length > MaxBytes)
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is larger than 16 MiB", file.Path);
        }
        return File.ReadAllBytes(path);
    }

    /// <summary>Writes a file; one that is there keeps its owner, and its mode but for what it lets others write.</summary>
    public void Write(PolicyFileName file, ReadOnlySpan<byte> bytes)
    {
        var path = PathOf(file);
        if (file.IsInclude && !Directory.Exists(Path.GetDirectoryName(path)))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!, NewFile | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            DurableFile.SyncDirectory(Writable.Path);
        }
        var before = DurableFile.Look(path, followLinks: false);
        var mode = before is { } old ? (old.Mode & NewFile) | UnixFileMode.UserRead | UnixFileMode.UserWrite : NewFile;
        DurableFile.Write(path, bytes, mode, before);
    }

    /// <summary>Removes a file.</summary>
    public void Remove(PolicyFileName file) => DurableFile.Remove(PathOf(file));

    /// <summary>The file of an earlier directory that stands in the place of this one; null when none does.</summary>
    public string? HiddenBy(PolicyFileName file) => file.IsInclude
        ? null
        : directories.SkipLast(1).Select(directory => Path.Join(directory.Path, file.Path)).FirstOrDefault(path => DurableFile.Look(path, followLinks: true) is { IsRegularFile: true });
}
