using Mgmt.Testing;

namespace Mgmt.Qemu.Tests;

/// <summary>A file system in memory that is soon full. Needs root.</summary>
internal sealed class SmallFileSystem : IDisposable
{
    public SmallFileSystem(string directory, int sizeMiB)
    {
        Path = Directory.CreateDirectory(directory).FullName;
        GuestFiles.Run("mount", "-t", "tmpfs", "-o", $"size={sizeMiB}m", "tmpfs", Path);
    }

    public string Path { get; }

    public static void Require()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("a small file system needs root");
        }
    }

    public void Grow(int sizeMiB) => GuestFiles.Run("mount", "-o", $"remount,size={sizeMiB}m", Path);

    public void Dispose() => GuestFiles.Run("umount", "-l", Path);
}
