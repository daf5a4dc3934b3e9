using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>
/// Keys on their way to a child, in files in memory: they are in no command line, no environment and on no disk. The child keeps its descriptor,
/// so they are emptied when it has read them, or never will.
/// </summary>
internal sealed class KeyFiles : IDisposable
{
    private readonly List<SafeFileHandle> _files = [];

    /// <summary>A file with the key, which a process of any uid can open again through /proc/self/fd; ours to close. ERRORS: Win32Exception.</summary>
    public SafeFileHandle Add(VolumeKey key)
    {
        var file = Descriptors.InMemory("vm-key");
        _files.Add(file);
        RandomAccess.Write(file, key.Text.Span, 0);
        return file;
    }

    /// <summary>Empties and closes them.</summary>
    public void Dispose()
    {
        foreach (var file in _files)
        {
            RandomAccess.Write(file, new byte[RandomAccess.GetLength(file)], 0);
            RandomAccess.SetLength(file, 0);
            file.Dispose();
        }
        _files.Clear();
    }
}
