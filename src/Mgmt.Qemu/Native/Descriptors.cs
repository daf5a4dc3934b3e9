using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>Makes the descriptors a VM's process inherits. All are close-on-exec in this process.</summary>
internal static class Descriptors
{
    private const int MaxSocketPath = 107;

    /// <summary>
    /// A listening Unix socket. Not System.Net.Sockets, which would unlink the path when our copy is closed.
    /// ERRORS: Win32Exception, PathTooLongException.
    /// </summary>
    public static SafeFileHandle Listen(string path)
    {
        var name = Encoding.UTF8.GetBytes(path);
        if (name.Length > MaxSocketPath)
        {
            throw new PathTooLongException($"a socket's path has at most {MaxSocketPath} bytes: {path}");
        }
        // struct sockaddr_un: the family in two bytes of the machine's order, then the path with its NUL.
        var address = new byte[2 + name.Length + 1];
        BitConverter.TryWriteBytes(address, (ushort)Libc.AF_UNIX);
        name.CopyTo(address, 2);
        var socket = Own(Libc.socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0));
        var fd = (int)socket.DangerousGetHandle();
        if (Libc.bind(fd, address, (uint)address.Length) != 0 || Libc.listen(fd, 4) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            socket.Dispose();
            throw new Win32Exception(error);
        }
        return socket;
    }

    /// <summary>
    /// A file in memory of a fixed size, all NUL, for a child's output: the kernel refuses what goes beyond, so a child
    /// that floods it takes no disk and no memory.
    /// </summary>
    public static SafeFileHandle BoundedLog(int sizeBytes)
    {
        var file = Own(Libc.memfd_create("vm-stderr", Libc.MFD_CLOEXEC | Libc.MFD_ALLOW_SEALING));
        RandomAccess.SetLength(file, sizeBytes);
        _ = Libc.fcntl((int)file.DangerousGetHandle(), Libc.F_ADD_SEALS, Libc.F_SEAL_GROW | Libc.F_SEAL_SHRINK | Libc.F_SEAL_SEAL);
        return file;
    }

    /// <summary>What was written to a <see cref="BoundedLog"/>, at most the last <paramref name="maxBytes"/>; control characters as <c>_</c>.</summary>
    public static string Tail(SafeFileHandle file, int maxBytes)
    {
        var bytes = new byte[RandomAccess.GetLength(file)];
        var read = RandomAccess.Read(file, bytes, 0);
        var text = bytes.AsSpan(0, read).TrimEnd((byte)0);
        text = text.Length > maxBytes ? text[^maxBytes..] : text;
        return string.Concat(Encoding.UTF8.GetString(text).Trim().Replace('\n', ';').Select(c => char.IsControl(c) ? '_' : c));
    }

    /// <summary>A copy of a whole file in memory, which a process of any uid can open again through /proc/self/fd.</summary>
    public static SafeFileHandle CopyToMemory(SafeFileHandle source, string name)
    {
        var copy = Own(Libc.memfd_create(name, Libc.MFD_CLOEXEC));
        var buffer = new byte[1 << 20];
        for (long at = 0; ;)
        {
            var read = RandomAccess.Read(source, buffer, at);
            if (read == 0)
            {
                return copy;
            }
            RandomAccess.Write(copy, buffer.AsSpan(0, read), at);
            at += read;
        }
    }

    /// <summary>Whether the descriptor itself allows reading only.</summary>
    public static bool IsReadOnly(SafeFileHandle file) =>
        (Libc.fcntl((int)file.DangerousGetHandle(), Libc.F_GETFL, 0) & Libc.O_ACCMODE) == Libc.O_RDONLY;

    /// <summary>The same file opened anew for reading only.</summary>
    public static SafeFileHandle ReopenReadOnly(SafeFileHandle file) =>
        File.OpenHandle($"/proc/self/fd/{(int)file.DangerousGetHandle()}", FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    /// <summary>Whether what is open is a device's node rather than a file.</summary>
    public static bool IsInDev(SafeFileHandle file) =>
        File.ResolveLinkTarget($"/proc/self/fd/{(int)file.DangerousGetHandle()}", false)?.FullName is { } path
        && path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal);

    private static SafeFileHandle Own(int fd) =>
        fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw new Win32Exception(Marshal.GetLastPInvokeError());
}
