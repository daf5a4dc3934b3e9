using System.Runtime.InteropServices;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Policy;

/// <summary>
/// Whole files that survive a crash as their old or their new version. A crash in between leaves a name that begins with a dot, which
/// nobody reads and the next write to the same file takes away. ERRORS of all: IOException, UnauthorizedAccessException.
/// </summary>
public static partial class DurableFile
{
    private const int CloseOnExec = 0x80000, NoEntry = 2, LinksInACircle = 40;

    /// <summary>Facts about a path; null when there is nothing.</summary>
    public static FileFacts? Look(string path, bool followLinks)
    {
        if (!FileStat.TryOf(path, followLinks, out var stat))
        {
            return Marshal.GetLastPInvokeError() is NoEntry or LinksInACircle ? null : throw LastError(path);
        }
        return new(stat.IsFile, stat.Mode, stat.Uid, stat.Gid);
    }

    /// <summary>Writes beside the file and renames. The owner, when given, becomes the new file's.</summary>
    /// <param name="path">Absolute.</param>
    /// <param name="bytes">The whole new content.</param>
    /// <param name="mode">Its mode; the umask takes nothing away.</param>
    /// <param name="owner">Facts about the old version; null leaves the file to who writes it.</param>
    public static void Write(string path, ReadOnlySpan<byte> bytes, UnixFileMode mode, FileFacts? owner)
    {
        var directory = Path.GetDirectoryName(path)!;
        var temporary = Path.Join(directory, $".{Path.GetFileName(path)}.new");
        File.Delete(temporary);
        using (var file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write))
        {
            // The umask is not asked, and nobody reads the text who may not read the file.
            File.SetUnixFileMode(file, mode);
            if (owner is { } who && OwnerDiffers(temporary, who) && Fchown(file, who.Uid, who.Gid) != 0)
            {
                throw LastError(temporary);
            }
            RandomAccess.Write(file, bytes, 0);
            RandomAccess.FlushToDisk(file);
        }
        File.Move(temporary, path, overwrite: true);
        SyncDirectory(directory);
    }

    /// <summary>Removes a file, for good when it returns.</summary>
    public static void Remove(string path)
    {
        File.Delete(path);
        SyncDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>Makes the names in a directory as durable as what they stand for.</summary>
    public static void SyncDirectory(string directory)
    {
        using var handle = Open(directory, CloseOnExec);
        if (handle.IsInvalid || Fsync(handle) != 0)
        {
            throw LastError(directory);
        }
    }

    private static bool OwnerDiffers(string path, FileFacts owner) => Look(path, followLinks: false) is not { } now || now.Uid != owner.Uid || now.Gid != owner.Gid;

    private static IOException LastError(string path)
    {
        var errno = Marshal.GetLastPInvokeError();
        return new($"{Marshal.GetPInvokeErrorMessage(errno)}: {path}", errno);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int Fchown(SafeFileHandle file, uint uid, uint gid);
}
