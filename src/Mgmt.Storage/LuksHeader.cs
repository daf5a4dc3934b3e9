using System.Buffers.Binary;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>
/// The one thing that is read of a LUKS image: how large its disk is. Big-endian: 0 magic "LUKS" BA BE, 6 version (1) u16, 104 where the
/// content begins u32, in sectors; the disk is all from there on. SOURCE: LUKS1 On-Disk Format Specification 1.2.3, "phdr".
/// </summary>
internal static class LuksHeader
{
    private const int Bytes = 108, VersionAt = 6, ContentAt = 104, SectorBytes = 512;

    private static ReadOnlySpan<byte> Magic => [(byte)'L', (byte)'U', (byte)'K', (byte)'S', 0xBA, 0xBE];

    /// <summary>Bytes. <paramref name="volume"/> is for errors. ERRORS: StoragePoolException.</summary>
    internal static long SizeOf(SafeFileHandle file, Vid volume)
    {
        var header = new byte[Bytes];
        var length = RandomAccess.GetLength(file);
        if (RandomAccess.Read(file, header, 0) == Bytes && header.AsSpan().StartsWith(Magic) && BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(VersionAt)) == 1)
        {
            var sizeBytes = length - ((long)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(ContentAt)) * SectorBytes);
            if (sizeBytes >= 0 && sizeBytes % SectorBytes == 0)
            {
                return sizeBytes;
            }
        }
        throw new MgmtException(ErrorCode.StoragePoolException, "The run of volume %s is damaged or not one this pool made", volume.Value);
    }
}
