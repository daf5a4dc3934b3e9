using System.Globalization;
using Mgmt.Core;

namespace Mgmt.State.Native;

/// <summary>The database file as the file system sees it.</summary>
internal static class StoreFile
{
    /// <summary>
    /// Makes an empty file with mode 0600, which -wal and -shm then take over, and makes its name durable. Does nothing
    /// when the file exists.
    /// </summary>
    internal static void CreateIfMissing(string file)
    {
        if (File.Exists(file))
        {
            return;
        }
        new FileStream(file, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }).Dispose();
        SyncDirectory(Path.GetDirectoryName(file)!);
    }

    /// <summary>
    /// What tells a file from its copies: inode number and time of birth. SHAPE: <c>INODE.SECONDS.NANOSECONDS</c>. The
    /// device is left out on purpose: its number may change with every boot.
    /// </summary>
    internal static string Identity(string file)
    {
        return FileStat.TryOf(file, followLinks: true, out var stat)
            ? string.Create(CultureInfo.InvariantCulture, $"{stat.Inode}.{stat.Born.Seconds}.{stat.Born.Nanoseconds}")
            : throw new IOException($"{file}: {LibC.LastError()}");
    }

    private static void SyncDirectory(string directory)
    {
        var fd = LibC.Open(directory, LibC.ReadOnly | LibC.Directory | LibC.CloseOnExec, 0);
        if (fd < 0)
        {
            throw new IOException($"{directory}: {LibC.LastError()}");
        }
        try
        {
            if (LibC.Fsync(fd) != 0)
            {
                throw new IOException($"{directory}: {LibC.LastError()}");
            }
        }
        finally
        {
            _ = LibC.Close(fd);
        }
    }
}
