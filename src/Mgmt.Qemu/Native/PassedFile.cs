using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>Sends bytes over a Unix socket with a file's descriptor beside them; the receiver gets a descriptor of its own. SOURCE: unix(7), cmsg(3).</summary>
internal static class PassedFile
{
    // On 64-bit Linux: struct iovec { base, length }; struct msghdr { name, its length, iov, its count, control, its length, flags };
    // struct cmsghdr { length (8), level (4), type (4) } and the descriptor (4), padded to 8.
    private const int VectorBytes = 16, HeaderBytes = 56, ControlBytes = 24, ControlLength = 20;

    /// <summary>Sends without waiting; gives how many bytes went, the descriptor with the first. ERRORS: Win32Exception, also when the other side does not read.</summary>
    public static int Send(SafeHandle socket, ReadOnlySpan<byte> bytes, SafeFileHandle file)
    {
        var memory = Marshal.AllocHGlobal(VectorBytes + HeaderBytes + ControlBytes + bytes.Length);
        var held = false;
        try
        {
            file.DangerousAddRef(ref held);
            nint vector = memory, header = memory + VectorBytes, control = header + HeaderBytes, data = control + ControlBytes;
            Marshal.Copy(bytes.ToArray(), 0, data, bytes.Length);
            Write(vector, data, bytes.Length);
            Write(header, 0, 0, vector, 1, control, ControlBytes, 0);
            Write(control, ControlLength, Libc.SOL_SOCKET | ((nint)Libc.SCM_RIGHTS << 32), file.DangerousGetHandle());
            var sent = Libc.sendmsg((int)socket.DangerousGetHandle(), header, Libc.MSG_DONTWAIT | Libc.MSG_NOSIGNAL);
            return sent > 0 ? (int)sent : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
            Marshal.FreeHGlobal(memory);
        }
    }

    private static void Write(nint at, params ReadOnlySpan<nint> words)
    {
        foreach (var word in words)
        {
            Marshal.WriteIntPtr(at, word);
            at += nint.Size;
        }
    }
}
