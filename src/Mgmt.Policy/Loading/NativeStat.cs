using System.Runtime.InteropServices;

namespace Mgmt.Policy;

/// <summary>What statx(2) says about a path, links followed. .NET tells neither a FIFO from a file nor an inode.</summary>
internal readonly partial record struct NativeStat(bool IsRegularFile, ulong Inode)
{
    private const int AtFdCwd = -100;
    private const uint TypeAndInode = 0x101;
    private const int ModeOffset = 28;
    private const int InodeOffset = 32;
    private const int FormatMask = 0xF000;
    private const int RegularFile = 0x8000;

    public static bool TryRead(string path, out NativeStat stat)
    {
        stat = default;
        Span<byte> buffer = new byte[256];
        if (Statx(AtFdCwd, path, 0, TypeAndInode, ref MemoryMarshal.GetReference(buffer)) != 0)
            return false;
        var mode = MemoryMarshal.Read<ushort>(buffer[ModeOffset..]);
        stat = new NativeStat((mode & FormatMask) == RegularFile, MemoryMarshal.Read<ulong>(buffer[InodeOffset..]));
        return true;
    }

    // Unlike stat's, statx's layout is the same on every architecture.
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, ref byte status);
}
