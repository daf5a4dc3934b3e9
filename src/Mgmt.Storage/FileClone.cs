using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>Makes a file share all blocks of another, in time that does not depend on their number of bytes. SOURCE: ioctl_ficlone(2).</summary>
internal static class FileClone
{
    /// <summary>False where the file system cannot or the two are on different ones; the target is unchanged then. ERRORS: IOException.</summary>
    internal static bool Try(SafeFileHandle from, string to)
    {
        using var target = PoolDirectory.Open(to, write: true);
        var added = false;
        try
        {
            from.DangerousAddRef(ref added);
            if (Libc.Ioctl(target, Libc.CloneFile, (int)from.DangerousGetHandle()) == 0)
            {
                return true;
            }
        }
        finally
        {
            if (added)
            {
                from.DangerousRelease();
            }
        }
        var errno = Marshal.GetLastPInvokeError();
        return errno is Errno.NotSupported or Errno.CrossDevice or Errno.Invalid or Errno.NotTty or Errno.NotImplemented ? false : throw Errno.Exception(errno);
    }

    /// <summary>As above, from a plain file by its path.</summary>
    internal static bool Try(string from, string to)
    {
        using var source = PoolDirectory.Open(from, write: false);
        return Try(source, to);
    }
}
