using System.Globalization;
using System.Runtime.InteropServices;

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
        // struct statx: stx_mask at 0, stx_ino at 32, stx_btime (seconds, nanoseconds) at 80.
        Span<byte> buffer = new byte[256];
        if (LibC.Statx(LibC.AtCurrentDirectory, file, 0, LibC.StatxInode | LibC.StatxBirthTime, buffer) != 0)
        {
            throw new IOException($"{file}: {LibC.LastError()}");
        }
        var born = (MemoryMarshal.Read<uint>(buffer) & LibC.StatxBirthTime) != 0;
        return string.Create(CultureInfo.InvariantCulture,
            $"{MemoryMarshal.Read<ulong>(buffer[32..])}.{(born ? MemoryMarshal.Read<long>(buffer[80..]) : 0)}.{(born ? MemoryMarshal.Read<uint>(buffer[88..]) : 0)}");
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
