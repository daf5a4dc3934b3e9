using System.Runtime.InteropServices;

namespace Mgmt.Storage;

/// <summary>What stat says of a path itself, never of what a symbolic link names.</summary>
internal sealed record FileStatus(FileStatus.Identity Id, uint Mode, uint Links, long UsedBytes, long LengthBytes)
{
    private const uint TypeMask = 0xf000, Regular = 0x8000, Folder = 0x4000, Block = 0x6000, WritableByOthers = 0x12;

    /// <summary>One file, whatever its names.</summary>
    internal readonly record struct Identity(uint DeviceMajor, uint DeviceMinor, ulong Inode);

    internal bool IsFile => (Mode & TypeMask) == Regular;

    internal bool IsDirectory => (Mode & TypeMask) == Folder;

    internal bool IsBlockDevice => (Mode & TypeMask) == Block;

    internal bool IsWritableByOthers => (Mode & WritableByOthers) != 0;

    /// <summary>The status, or null when nothing is there.</summary>
    internal static FileStatus? Of(string path)
    {
        if (Libc.Stat(Libc.AtCurrentDirectory, path, Libc.AtSymlinkNoFollow, Libc.StatxBasic, out var stat) == 0)
        {
            return From(stat);
        }
        var errno = Marshal.GetLastPInvokeError();
        return errno == Errno.NoEntry ? null : throw Errno.Exception(errno);
    }

    /// <summary>The status of an open file.</summary>
    internal static FileStatus Of(Microsoft.Win32.SafeHandles.SafeFileHandle file) =>
        Libc.Stat(file, "", Libc.AtEmptyPath, Libc.StatxBasic, out var stat) == 0 ? From(stat) : throw Errno.Last();

    private static FileStatus From(in Libc.StatBuffer stat) => new(
        new Identity(stat.DeviceMajor, stat.DeviceMinor, stat.Inode), stat.Mode, stat.Links, (long)stat.Blocks * 512, (long)stat.Size);
}
