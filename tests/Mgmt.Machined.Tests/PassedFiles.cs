using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Machined.Tests;

/// <summary>Sends open files over a Unix socket. SOURCE: unix(7), cmsg(3), 64-bit Linux.</summary>
internal static unsafe partial class PassedFiles
{
    private const int SolSocket = 1;
    private const int ScmRights = 1;
    private const int ControlHead = 16;

    /// <summary>The bytes, and the files with the first of them.</summary>
    public static void Send(Socket socket, ReadOnlySpan<byte> bytes, SafeFileHandle[] files)
    {
        var control = new byte[(ControlHead + (4 * files.Length) + 7) / 8 * 8];
        BitConverter.TryWriteBytes(control, (long)(ControlHead + (4 * files.Length)));
        BitConverter.TryWriteBytes(control.AsSpan(8), SolSocket);
        BitConverter.TryWriteBytes(control.AsSpan(12), ScmRights);
        for (var n = 0; n < files.Length; n++)
        {
            BitConverter.TryWriteBytes(control.AsSpan(ControlHead + (4 * n)), (int)files[n].DangerousGetHandle());
        }
        fixed (byte* data = bytes, rights = control)
        {
            var vector = new Vector { Base = data, Length = (nuint)bytes.Length };
            var message = new Header { Vectors = &vector, Count = 1, Control = rights, ControlLength = (nuint)control.Length };
            if (SendMessage((int)socket.Handle, &message, 0) != bytes.Length)
            {
                throw new Win32Exception(Marshal.GetLastPInvokeError());
            }
        }
    }

    /// <summary>An open directory, which .NET does not open.</summary>
    public static SafeFileHandle OpenDirectory(string path) => new(Open(path, 0), ownsHandle: true);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(int socket, Header* message, int flags);

    /// <summary>struct iovec.</summary>
    private struct Vector
    {
        public byte* Base;
        public nuint Length;
    }

    /// <summary>struct msghdr.</summary>
    private struct Header
    {
        public void* Name;
        public uint NameLength;
        public Vector* Vectors;
        public nuint Count;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }
}
