using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>The directories below which pools may live. What is below a root belongs to the daemon and holds no symbolic links.</summary>
internal sealed class PoolRoots
{
    private readonly IReadOnlyList<string> _roots;

    internal PoolRoots(IReadOnlyList<string> roots)
    {
        if (roots.Count == 0 || roots.Any(root => !Path.IsPathRooted(root)))
        {
            throw new ArgumentException("pool roots are absolute paths, at least one", nameof(roots));
        }
        _roots = [.. roots.Select(root => Path.TrimEndingDirectorySeparator(Path.GetFullPath(root)))];
    }

    /// <summary>
    /// The directory of a pool, made when missing: its parameter dir_path, else its name below the first root.
    /// ERRORS: StoragePoolException with the reason.
    /// </summary>
    internal string Prepare(PoolRecord record)
    {
        var path = record.Config.GetValueOrDefault("dir_path") ?? Path.Combine(_roots[0], record.Name.Value);
        if (!Path.IsPathRooted(path) || path.Contains('\0') || Path.TrimEndingDirectorySeparator(path) != Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "dir_path must be an absolute path without . .. and double slashes: %s", path);
        }
        path = Path.TrimEndingDirectorySeparator(path);
        var root = _roots.FirstOrDefault(root => path.StartsWith(root == "/" ? root : root + "/", StringComparison.Ordinal) && path != root)
            ?? throw new MgmtException(ErrorCode.StoragePoolException, "dir_path must be below one of the configured pool roots: %s", path);
        Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PoolDirectory.Walk(root, path[root.Length..].TrimStart('/'), create: true);
        if (FileStatus.Of(path)!.IsWritableByOthers)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "dir_path is writable by its group or by everybody: %s", path);
        }
        return path;
    }
}
