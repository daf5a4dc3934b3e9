using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Core;

/// <summary>
/// What the kernel says of a file, without opening it: .NET tells neither a pipe or socket from a file nor who owns it, its inode or its device. SOURCE: statx(2), whose structure is the same on every
/// processor, as stat's is not.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
public readonly partial struct FileStat
{
    private const int AtCurrentDirectory = -100, NoFollow = 0x100, EmptyPath = 0x1000;
    private const uint BasicAndBirth = 0xfff, Birth = 0x800;
    private const int TypeMask = 0xf000, Directory = 0x4000, Character = 0x2000, Block = 0x6000, Regular = 0x8000, Socket = 0xc000;
    private const int BlockBytes = 512;

    [FieldOffset(0)] private readonly uint _known;
    [FieldOffset(16)] private readonly uint _links;
    [FieldOffset(20)] private readonly uint _uid;
    [FieldOffset(24)] private readonly uint _gid;
    [FieldOffset(28)] private readonly ushort _mode;
    [FieldOffset(32)] private readonly ulong _inode;
    [FieldOffset(40)] private readonly ulong _size;
    [FieldOffset(48)] private readonly ulong _blocks;
    [FieldOffset(80)] private readonly long _bornSeconds;
    [FieldOffset(88)] private readonly uint _bornNanoseconds;
    [FieldOffset(128)] private readonly uint _nodeMajor;
    [FieldOffset(132)] private readonly uint _nodeMinor;
    [FieldOffset(136)] private readonly uint _deviceMajor;
    [FieldOffset(140)] private readonly uint _deviceMinor;

    /// <summary>How many names it has.</summary>
    public uint Links => _links;

    /// <summary>Whose it is.</summary>
    public uint Uid => _uid;

    /// <summary>Its group.</summary>
    public uint Gid => _gid;

    /// <summary>Its number in its file system.</summary>
    public ulong Inode => _inode;

    /// <summary>Of a device node, the device.</summary>
    public (uint Major, uint Minor) Node => (_nodeMajor, _nodeMinor);

    /// <summary>The device that the file system is on.</summary>
    public (uint Major, uint Minor) Device => (_deviceMajor, _deviceMinor);

    /// <summary>Its length.</summary>
    public long LengthBytes => (long)_size;

    /// <summary>What it takes on disk.</summary>
    public long UsedBytes => (long)_blocks * BlockBytes;

    /// <summary>Who may do what.</summary>
    public UnixFileMode Mode => (UnixFileMode)(_mode & 0xfff);

    /// <summary>Whether it is a regular file.</summary>
    public bool IsFile => (_mode & TypeMask) == Regular;

    /// <summary>Whether it is a directory.</summary>
    public bool IsDirectory => (_mode & TypeMask) == Directory;

    /// <summary>Whether it is a socket.</summary>
    public bool IsSocket => (_mode & TypeMask) == Socket;

    /// <summary>Whether it is the node of a block device.</summary>
    public bool IsBlockDevice => (_mode & TypeMask) == Block;

    /// <summary>Whether it is the node of a character device.</summary>
    public bool IsCharacterDevice => (_mode & TypeMask) == Character;

    /// <summary>When it was made, as seconds and nanoseconds; zeros where the file system does not say.</summary>
    public (long Seconds, uint Nanoseconds) Born => (_known & Birth) != 0 ? (_bornSeconds, _bornNanoseconds) : default;

    /// <summary>Looks at a path; the error is the last of the platform's when it is false.</summary>
    public static bool TryOf(string path, bool followLinks, out FileStat stat) => Statx(AtCurrentDirectory, path, followLinks ? 0 : NoFollow, BasicAndBirth, out stat) == 0;

    /// <summary>Looks at an open file. ERRORS: IOException.</summary>
    public static FileStat Of(SafeFileHandle file) =>
        Statx(file, "", EmptyPath, BasicAndBirth, out var stat) == 0 ? stat : throw new IOException(Marshal.GetLastPInvokeErrorMessage(), Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, out FileStat stat);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(SafeFileHandle file, string path, int flags, uint mask, out FileStat stat);
}
