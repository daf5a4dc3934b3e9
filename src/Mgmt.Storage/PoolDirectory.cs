using System.Collections.Concurrent;
using System.IO.Enumeration;
using System.Runtime.InteropServices;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// The directory of a pool and the file operations in it. Every path is looked at component by component before it is used;
/// a symbolic link on the way is refused. Nobody but the daemon may write there, so what was looked at stays as it was.
/// <paramref name="step"/> hears of each change before it is made; tests end the process there.
/// </summary>
internal sealed class PoolDirectory(string path, string suffix, Action<string> step)
{
    private const string TempPrefix = ".tmp-";
    private const uint FileMode = 0x180, DirectoryMode = 0x1c0;

    // Between making directories and putting a file there nobody may prune them again.
    private readonly Lock _tree = new();
    private readonly ConcurrentDictionary<string, bool> _temps = new(StringComparer.Ordinal);

    internal string Root => path;

    /// <summary>The files of a volume. ERRORS: StoragePoolException for ids that this layout has no names for, and for symbolic links on the way.</summary>
    internal VolumeFiles Locate(Vid vid)
    {
        var files = VolumeFiles.Of(path, vid, suffix);
        Walk(path, Path.GetDirectoryName(vid.Value) ?? "", create: false);
        foreach (var file in files.All)
        {
            if (FileStatus.Of(file) is { IsFile: false })
            {
                throw NotPlain(file);
            }
        }
        return files;
    }

    /// <summary>The volume that a file belongs to; null for files of others.</summary>
    internal Vid? Owner(string file) => VolumeFiles.Owner(path, file, suffix);

    /// <summary>Makes a temporary file, empty, mode 0600; gone when disposed, unless it was published.</summary>
    internal TempFile NewTemp()
    {
        var temp = Path.Combine(path, $"{TempPrefix}{Guid.NewGuid():N}");
        _temps[temp] = true;
        step("make a temporary file");
        using var file = OpenRaw(temp, Libc.ReadWrite | Libc.Create | Libc.Exclusive);
        return new TempFile(temp, () => _temps.TryRemove(temp, out _));
    }

    /// <summary>The temporary files that an earlier daemon left.</summary>
    internal List<string> Leftovers() =>
        [.. Directory.EnumerateFiles(path, TempPrefix + "*").Where(file => !_temps.ContainsKey(file) && FileStatus.Of(file) is { IsFile: true })];

    /// <summary>Everything below the directory that is not a directory itself. Symbolic links are listed, not followed.</summary>
    internal IEnumerable<string> Entries() => new FileSystemEnumerable<string>(
        path,
        (ref FileSystemEntry entry) => entry.ToFullPath(),
        new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None })
    {
        ShouldRecursePredicate = (ref FileSystemEntry entry) => IsFolder(ref entry),
        ShouldIncludePredicate = (ref FileSystemEntry entry) => !IsFolder(ref entry),
    };

    /// <summary>Gives an open file a name, in place of a file; false where it has none any more or is on another file system.</summary>
    internal bool TryLinkOpen(SafeFileHandle file, string name)
    {
        step("link " + Path.GetFileName(name));
        File.Delete(name);
        var open = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/self/fd/{file.DangerousGetHandle()}");
        if (Libc.LinkAt(Libc.AtCurrentDirectory, open, Libc.AtCurrentDirectory, name, Libc.AtSymlinkFollow) == 0)
        {
            return true;
        }
        using var again = OpenRaw(name, Libc.ReadWrite | Libc.Create | Libc.Exclusive);
        return false;
    }

    /// <summary>Whether a file is a temporary one of an operation at work.</summary>
    internal bool IsTemp(string file) => _temps.ContainsKey(file);

    /// <summary>Gives a finished temporary file its name. Durable: the file's bytes, its name and the directories on the way are on the disk.</summary>
    internal void Publish(string temp, string target, bool durable = true)
    {
        if (durable)
        {
            SyncFile(temp);
        }
        step("publish " + Path.GetFileName(target));
        lock (_tree)
        {
            MakeParents(target);
            File.Move(temp, target, overwrite: true);
        }
        if (durable)
        {
            SyncParent(target);
        }
    }

    /// <summary>Gives a file a second name, in place of what had that name.</summary>
    internal void Link(string existing, string name, bool durable = false)
    {
        step("link " + Path.GetFileName(name));
        lock (_tree)
        {
            MakeParents(name);
            File.Delete(name);
            if (Libc.Link(existing, name) != 0)
            {
                throw Errno.Last();
            }
        }
        if (durable)
        {
            SyncParent(name);
        }
    }

    /// <summary>Makes an empty marker file; one that is there stays.</summary>
    internal void Mark(string marker)
    {
        step("mark " + Path.GetFileName(marker));
        using (OpenRaw(marker, Libc.ReadWrite | Libc.Create))
        {
        }
        SyncParent(marker);
    }

    /// <summary>An image is about to be changed in place.</summary>
    internal void WillChange(string file) => step("change " + Path.GetFileName(file));

    /// <summary>Renames within the directory, durably; two names of one file become one.</summary>
    internal void Rename(string from, string to)
    {
        step("rename to " + Path.GetFileName(to));
        // rename(2) of two names of one file does nothing.
        if (FileStatus.Of(from)?.Id == FileStatus.Of(to)?.Id)
        {
            File.Delete(from);
        }
        else
        {
            File.Move(from, to, overwrite: true);
        }
        SyncParent(to);
    }

    /// <summary>Deletes files that are there; durable: in this order on the disk too, so that no run is ever found without its base.</summary>
    internal void Delete(bool durable, params ReadOnlySpan<string> files)
    {
        foreach (var file in files)
        {
            if (FileStatus.Of(file) is null)
            {
                continue;
            }
            step("delete " + Path.GetFileName(file));
            File.Delete(file);
            if (durable)
            {
                SyncParent(file);
            }
        }
    }

    /// <summary>Removes the directories of a volume that have become empty.</summary>
    internal void RemoveEmptyParents(string file)
    {
        lock (_tree)
        {
            for (var parent = Path.GetDirectoryName(file)!; parent.Length > path.Length; parent = Path.GetDirectoryName(parent)!)
            {
                if (!Directory.Exists(parent))
                {
                    continue;
                }
                if (Directory.EnumerateFileSystemEntries(parent).Any())
                {
                    return;
                }
                Directory.Delete(parent);
            }
        }
    }

    /// <summary>Opens a plain file; close-on-exec, never through a symbolic link.</summary>
    internal static SafeFileHandle Open(string file, bool write)
    {
        if (FileStatus.Of(file) is { IsFile: false })
        {
            throw NotPlain(file);
        }
        return OpenRaw(file, write ? Libc.ReadWrite : Libc.ReadOnly);
    }

    /// <summary>Opens a file of our own for writes past the page cache; null where its file system has none.</summary>
    internal static SafeFileHandle? TryOpenDirect(string file)
    {
        var handle = Libc.Open(file, Libc.ReadWrite | Libc.Direct | Libc.NoFollow | Libc.CloseOnExec, FileMode);
        if (!handle.IsInvalid)
        {
            return handle;
        }
        handle.Dispose();
        return null;
    }

    internal static void SyncFile(string file)
    {
        using var handle = Open(file, write: false);
        Sync(handle);
    }

    internal static void SyncParent(string file)
    {
        using var handle = OpenRaw(Path.GetDirectoryName(file)!, Libc.ReadOnly | Libc.DirectoryOnly);
        Sync(handle);
    }

    /// <summary>Goes down from a trusted directory. ERRORS: StoragePoolException at anything that is not a directory.</summary>
    internal static void Walk(string root, string relative, bool create)
    {
        var at = root;
        foreach (var part in relative.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            at = Path.Combine(at, part);
            if (create && Libc.MakeDirectory(at, DirectoryMode) == 0)
            {
                SyncParent(at);
            }
            else if (create && Marshal.GetLastPInvokeError() is not Errno.Exists and var errno)
            {
                throw Errno.Exception(errno);
            }
            switch (FileStatus.Of(at))
            {
                case null: return;
                case { IsDirectory: false }: throw NotPlain(at);
            }
        }
    }

    private static bool IsFolder(ref FileSystemEntry entry) => entry.IsDirectory && (entry.Attributes & FileAttributes.ReparsePoint) == 0;

    private void MakeParents(string file) => Walk(path, Path.GetDirectoryName(Path.GetRelativePath(path, file)) ?? "", create: true);

    private static void Sync(SafeFileHandle handle)
    {
        if (Libc.Sync(handle) != 0)
        {
            throw Errno.Last();
        }
    }

    private static SafeFileHandle OpenRaw(string file, int flags)
    {
        var handle = Libc.Open(file, flags | Libc.NoFollow | Libc.CloseOnExec, FileMode);
        if (!handle.IsInvalid)
        {
            return handle;
        }
        var failure = Errno.Last();
        handle.Dispose();
        throw failure;
    }

    private static MgmtException NotPlain(string what) =>
        new(ErrorCode.StoragePoolException, "Neither a plain file nor a directory of its own (a symbolic link?): %s", what);
}
