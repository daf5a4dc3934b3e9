using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Mgmt.Core;

/// <summary>What something is in a directory, without opening it: a named pipe would be waited for, a device does what it likes. SOURCE: statx(2).</summary>
public static partial class PlainFile
{
    private const int AtCurrentDirectory = -100;
    private const int AtSymlinkNoFollow = 0x100;
    private const uint Basic = 0x7FF;
    private const int StatBytes = 256;
    private const int ModeAt = 28;
    private const int BlocksAt = 48;
    private const int BlockBytes = 512;
    private const int TypeMask = 0xF000;
    private const int Regular = 0x8000;

    /// <summary>Whether the path is a plain file, and no link, directory, pipe, socket or device.</summary>
    public static bool IsOne(string path) => Stat(path) is { } status && (BinaryPrimitives.ReadUInt16LittleEndian(status.AsSpan(ModeAt)) & TypeMask) == Regular;

    /// <summary>What the path takes on disk in bytes, itself only; 0 when nothing is there.</summary>
    public static long UsedBytes(string path) => Stat(path) is { } status ? (long)BinaryPrimitives.ReadUInt64LittleEndian(status.AsSpan(BlocksAt)) * BlockBytes : 0;

    private static byte[]? Stat(string path)
    {
        var status = new byte[StatBytes];
        return Statx(AtCurrentDirectory, path, AtSymlinkNoFollow, Basic, status) == 0 ? status : null;
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, Span<byte> status);
}
