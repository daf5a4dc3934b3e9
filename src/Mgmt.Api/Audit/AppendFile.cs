using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Api;

/// <summary>
/// A file that is only appended to, open with O_APPEND: the kernel puts each write at the end and keeps writes of several threads
/// apart, so that no lock is held across a write. The framework's append mode writes at an offset it remembers.
/// </summary>
internal sealed partial class AppendFile : IDisposable
{
    private const int WriteOnly = 0x1;
    private const int Create = 0x40;
    private const int Append = 0x400;
    private const int CloseOnExec = 0x80000;
    private const int Interrupted = 4;
    private const uint Mode = 0x1A0; // 0640

    private readonly SafeFileHandle _handle;

    /// <summary>Opens or makes the file. ERRORS: IOException.</summary>
    internal AppendFile(string path)
    {
        var descriptor = Open(path, WriteOnly | Create | Append | CloseOnExec, Mode);
        if (descriptor < 0)
        {
            throw new IOException(Marshal.GetLastPInvokeErrorMessage());
        }
        _handle = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Appends a line in one write. ERRORS: IOException; ObjectDisposedException after Dispose.</summary>
    internal void Write(ReadOnlySpan<byte> line)
    {
        while (line.Length > 0)
        {
            var written = Write(_handle, line, (nuint)line.Length);
            if (written < 0 && Marshal.GetLastPInvokeError() != Interrupted)
            {
                throw new IOException(Marshal.GetLastPInvokeErrorMessage());
            }
            line = line[(int)Math.Max(0, written)..];
        }
    }

    /// <summary>Closes the file once the writes that have begun are done.</summary>
    public void Dispose() => _handle.Dispose();

    // open takes its mode as a variable argument; the three plain ones go into the same registers.
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, nuint count);
}
