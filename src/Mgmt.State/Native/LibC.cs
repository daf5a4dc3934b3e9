using System.Runtime.InteropServices;

namespace Mgmt.State.Native;

/// <summary>The few functions of libc that .NET does not offer.</summary>
internal static partial class LibC
{
    internal const int ReadOnly = 0, ReadWrite = 2, Create = 0x40, Directory = 0x10000, CloseOnExec = 0x80000;
    internal const int LockExclusive = 2, LockNonBlocking = 4;
    internal const int WouldBlock = 11;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    internal static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    internal static partial int Flock(int fd, int operation);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    internal static partial int Fsync(int fd);

    /// <summary>The text of the last error.</summary>
    internal static string LastError() => Marshal.GetLastPInvokeErrorMessage();
}
