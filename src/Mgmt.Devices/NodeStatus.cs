using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Devices;

/// <summary>What an open file is. SOURCE: statx(2): stx_mode at 28, stx_size at 40, stx_rdev_major and _minor at 128 and 132.</summary>
internal readonly record struct NodeStatus(int Kind, long SizeBytes, string Number)
{
    internal const int Regular = 0x8000, Block = 0x6000, Character = 0x2000;

    /// <summary>ERRORS: Win32Exception.</summary>
    internal static NodeStatus Of(SafeFileHandle file)
    {
        var status = new byte[Libc.StatBytes];
        if (Libc.Stat(file, "", Libc.AT_EMPTY_PATH, 0x7ff, status) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
        return new(BitConverter.ToUInt16(status, 28) & 0xf000, BitConverter.ToInt64(status, 40),
            string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{BitConverter.ToUInt32(status, 128)}:{BitConverter.ToUInt32(status, 132)}"));
    }
}
