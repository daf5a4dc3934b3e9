using System.Runtime.InteropServices;
using System.Text;

namespace Mgmt.Policy;

/// <summary>realpath(3). .NET resolves the last part of a path only.</summary>
internal static partial class NativePath
{
    // PATH_MAX, which realpath requires of the buffer.
    private const int MaxBytes = 4096;

    /// <summary>The path without links. Where nothing is there, that of the directories that are.</summary>
    public static string Resolve(string path)
    {
        Span<byte> buffer = new byte[MaxBytes];
        if (RealPath(path, ref MemoryMarshal.GetReference(buffer)) == 0)
            return Path.GetDirectoryName(path) is { } parent ? Path.Join(Resolve(parent), Path.GetFileName(path)) : path;
        var end = buffer.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? buffer : buffer[..end]);
    }

    [LibraryImport("libc", EntryPoint = "realpath", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint RealPath(string path, ref byte resolved);
}
