using System.Runtime.InteropServices;

namespace Mgmt.Policy;

/// <summary>fsync(2) of a directory. .NET opens no directories.</summary>
internal static partial class NativeDirectory
{
    private const int ReadOnlyCloseOnExec = 0x80000;

    /// <summary>Makes renames in a directory last. Throws IOException.</summary>
    public static void Flush(string directory)
    {
        var descriptor = Open(directory, ReadOnlyCloseOnExec);
        if (descriptor < 0)
            throw new IOException($"cannot open {directory}: {Marshal.GetLastPInvokeErrorMessage()}");
        try
        {
            if (Sync(descriptor) != 0)
                throw new IOException($"cannot flush {directory}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
