using System.Runtime.InteropServices;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// The directory of a pool and the file operations in it. Every path is looked at component by component before it is used;
/// a symbolic link on the way is refused. Nobody but the daemon may write there, so what was looked at stays as it was.
/// </summary>
internal sealed class PoolDirectory(string path)
{
    private const string TempPrefix = ".tmp-";
    private const uint FileMode = 0x180, DirectoryMode = 0x1c0;

    // Between making directories and putting a file there nobody may prune them again.
    private readonly Lock _tree = new();

    internal string Root => path;

    /// <summary>The files of a volume. ERRORS: StoragePoolException for ids that this layout has no names for, and for symbolic links on the way.</summary>
    internal VolumeFiles Locate(Vid vid)
    {
        var files = VolumeFiles.Of(path, vid);
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

    /// <summary>Makes a temporary file, empty, mode 0600.</summary>
    internal string NewTemp(string suffix)
    {
        var temp = Path.Combine(path, $"{TempPrefix}{Guid.NewGuid():N}{suffix}");
        using var file = OpenRaw(temp, Libc.ReadWrite | Libc.Create | Libc.Exclusive);
        return temp;
    }

    /// <summary>Removes the temporary files that an earlier daemon left; says how many.</summary>
    internal int RemoveTemps()
    {
        var temps = Directory.EnumerateFiles(path, TempPrefix + "*").Where(file => FileStatus.Of(file) is { IsFile: true }).ToList();
        temps.ForEach(File.Delete);
        return temps.Count;
    }

    /// <summary>Gives a finished temporary file its name. Durable: the file's bytes, its name and the directories on the way are on the disk.</summary>
    internal void Publish(string temp, string target, bool durable = true)
    {
        if (durable)
        {
            SyncFile(temp);
        }
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
    internal void Link(string existing, string name)
    {
        lock (_tree)
        {
            MakeParents(name);
            File.Delete(name);
            if (Libc.Link(existing, name) != 0)
            {
                throw Errno.Last();
            }
        }
    }

    /// <summary>Makes an empty marker file; one that is there stays.</summary>
    internal void Mark(string marker)
    {
        using (OpenRaw(marker, Libc.ReadWrite | Libc.Create))
        {
        }
        SyncParent(marker);
    }

    /// <summary>Renames within the directory, durably.</summary>
    internal static void Rename(string from, string to)
    {
        File.Move(from, to, overwrite: true);
        SyncParent(to);
    }

    /// <summary>Removes the directories of a volume that have become empty.</summary>
    internal void Prune(string file)
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
