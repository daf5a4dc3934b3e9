using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Mgmt.Core;

namespace Mgmt.State.Native;

/// <summary>
/// Keeps a state directory for one daemon: flock on <c>DIR/lock</c>, which holds the owner's process id in decimal. The
/// kernel releases it with the process; the file stays.
/// </summary>
internal sealed class DirectoryLock : IDisposable
{
    private readonly SafeFileHandle _file;

    private DirectoryLock(SafeFileHandle file) => _file = file;

    /// <summary>ERRORS: MgmtUnavailableError when another process has it.</summary>
    internal static DirectoryLock Take(string directory)
    {
        var path = Path.Combine(directory, "lock");
        var fd = LibC.Open(path, LibC.ReadWrite | LibC.Create | LibC.CloseOnExec, 0x180 /* 0600 */);
        if (fd < 0)
        {
            throw new IOException($"{path}: {LibC.LastError()}");
        }
        var file = new SafeFileHandle(fd, ownsHandle: true);
        try
        {
            if (LibC.Flock(fd, LibC.LockExclusive | LibC.LockNonBlocking) != 0)
            {
                throw Marshal.GetLastPInvokeError() == LibC.WouldBlock
                    ? new MgmtException(ErrorCode.MgmtUnavailableError, "state directory %s is in use by another mgmtd (pid %s)", directory, Owner(file))
                    : new IOException($"{path}: {LibC.LastError()}");
            }
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n"), 0);
            return new DirectoryLock(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => _file.Dispose();

    // The owner may be between taking the lock and writing its number.
    private static string Owner(SafeFileHandle file)
    {
        Span<byte> text = new byte[16];
        var pid = Encoding.ASCII.GetString(text[..RandomAccess.Read(file, text, 0)]).Trim();
        return pid.Length > 0 && pid.All(char.IsAsciiDigit) ? pid : "unknown";
    }
}
