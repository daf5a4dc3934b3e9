using System.Runtime.InteropServices;
using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>What stat says of a path itself, never of what a symbolic link names.</summary>
internal sealed record FileStatus(FileStatus.Identity Id, FileStat Stat)
{
    private const UnixFileMode ByOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <summary>One file, whatever its names.</summary>
    internal readonly record struct Identity(uint DeviceMajor, uint DeviceMinor, ulong Inode);

    internal bool IsFile => Stat.IsFile;

    internal bool IsDirectory => Stat.IsDirectory;

    internal bool IsBlockDevice => Stat.IsBlockDevice;

    internal bool IsWritableByOthers => (Stat.Mode & ByOthers) != 0;

    internal uint Links => Stat.Links;

    internal long UsedBytes => Stat.UsedBytes;

    internal long LengthBytes => Stat.LengthBytes;

    /// <summary>The status, or null when nothing is there.</summary>
    internal static FileStatus? Of(string path)
    {
        if (FileStat.TryOf(path, followLinks: false, out var stat))
        {
            return From(stat);
        }
        var errno = Marshal.GetLastPInvokeError();
        return errno == Errno.NoEntry ? null : throw Errno.Exception(errno);
    }

    /// <summary>The status of an open file.</summary>
    internal static FileStatus Of(Microsoft.Win32.SafeHandles.SafeFileHandle file) => From(FileStat.Of(file));

    private static FileStatus From(in FileStat stat) => new(new Identity(stat.Device.Major, stat.Device.Minor, stat.Inode), stat);
}
