using System.Runtime.InteropServices;

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
    private const int AtFdCwd = -100;
    private const int NoFollow = 0x100;
    private const uint Type = 0x1;
    private const int ModeOffset = 28;
    private const int FormatMask = 0xF000;
    private const int RegularFile = 0x8000;
    private const int SocketFile = 0xC000;
    private const int MayExecute = 1;

    internal static FileKind Of(string path)
    {
        Span<byte> buffer = new byte[256];
        ref var status = ref MemoryMarshal.GetReference(buffer);
        if (Statx(AtFdCwd, path, 0, Type, ref status) != 0)
        {
            return Statx(AtFdCwd, path, NoFollow, Type, ref status) == 0 ? FileKind.Unusable : FileKind.None;
        }
        return (MemoryMarshal.Read<ushort>(buffer[ModeOffset..]) & FormatMask) switch
        {
            SocketFile => FileKind.Socket,
            RegularFile when Access(path, MayExecute) == 0 => FileKind.Program,
            _ => FileKind.Unusable,
        };
    }

    // Unlike stat's, statx's layout is the same on every architecture.
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, ref byte status);

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);
}
