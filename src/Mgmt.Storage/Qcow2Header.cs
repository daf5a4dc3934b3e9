using System.Buffers.Binary;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// What the header of an image says. A VM's QEMU can write the header of its own images, so whatever else they name
/// (another backing file, a data file outside) is refused before qemu-img, which runs as the daemon, opens them.
/// </summary>
/// <remarks>
/// GRAMMAR (big-endian): 0 magic "QFI\xfb", 4 version u32, 8 backing name's offset u64, 24 virtual size in bytes u64, 32 encryption u32,
/// 72 incompatible features u64 (version 3): bit 0 dirty, 1 corrupt, 2 data file outside, 3 compression type, 4 extended L2.
/// SOURCE: QEMU's docs/interop/qcow2.txt.
/// </remarks>
internal sealed record Qcow2Header(bool HasBacking, long SizeBytes)
{
    private const int Length = 80;

    /// <summary>Reads and checks a header. <paramref name="volume"/> is for errors. ERRORS: StoragePoolException.</summary>
    internal static Qcow2Header Read(SafeFileHandle file, Vid volume, bool mayHaveBacking)
    {
        Span<byte> bytes = new byte[Length];
        var ok = RandomAccess.Read(file, bytes, 0) == Length && bytes[..4].SequenceEqual((ReadOnlySpan<byte>)[0x51, 0x46, 0x49, 0xfb])
            && BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]) == 3;
        var header = new Qcow2Header(BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]) != 0, BinaryPrimitives.ReadInt64BigEndian(bytes[24..]));
        var encrypted = BinaryPrimitives.ReadUInt32BigEndian(bytes[32..]) != 0;
        var features = BinaryPrimitives.ReadUInt64BigEndian(bytes[72..]);
        if (!ok || encrypted || (features & ~1UL) != 0 || header.SizeBytes < 0 || (header.HasBacking && !mayHaveBacking))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "The image of volume %s is damaged or not one this pool made", volume.Value);
        }
        return header;
    }

    /// <summary>Whether a file is an image that stands alone and names nothing outside.</summary>
    internal static bool IsPlain(SafeFileHandle file)
    {
        try
        {
            return !Read(file, default, mayHaveBacking: false).HasBacking;
        }
        catch (MgmtException)
        {
            return false;
        }
    }
}
