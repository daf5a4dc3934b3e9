using System.Runtime.InteropServices;
using Mgmt.Core;

namespace Mgmt.Qrexec;

/// <summary>What a path is, links followed.</summary>
internal enum FileKind
{
    /// <summary>Nothing there.</summary>
    None,
    /// <summary>A regular file that may be executed.</summary>
    Program,
    /// <summary>A socket.</summary>
    Socket,
    /// <summary>Something else, or nothing that can be looked at: a link to nothing, a directory, a file without the right to execute it.</summary>
    Unusable,
}

/// <summary>Looks at a path. .NET does not tell sockets from files.</summary>
internal static partial class FileKinds
{
    private const int MayExecute = 1;

    internal static FileKind Of(string path)
    {
        if (!FileStat.TryOf(path, followLinks: true, out var stat))
        {
            return FileStat.TryOf(path, followLinks: false, out _) ? FileKind.Unusable : FileKind.None;
        }
        return stat.IsSocket ? FileKind.Socket : stat.IsFile && Access(path, MayExecute) == 0 ? FileKind.Program : FileKind.Unusable;
    }

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);
}
