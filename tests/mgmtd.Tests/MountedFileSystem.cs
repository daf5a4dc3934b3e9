using System.Globalization;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>A real file system of its own: <c>tmpfs</c>, or one in a file (<c>btrfs</c>, <c>xfs</c>). Needs root. Disposing unmounts it.</summary>
internal sealed class MountedFileSystem : IDisposable
{
    private readonly string? _image;

    internal MountedFileSystem(string kind, string directory, int mebibytes)
    {
        Path = Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        if (kind == "tmpfs")
        {
            GuestFiles.Run("mount", "-t", kind, "-o", string.Create(CultureInfo.InvariantCulture, $"size={mebibytes}m,mode=700"), "none", Path);
            return;
        }
        _image = System.IO.Path.GetTempFileName();
        using (var file = File.OpenHandle(_image, FileMode.Open, FileAccess.Write))
        {
            RandomAccess.SetLength(file, (long)mebibytes << 20);
        }
        GuestFiles.Run("mkfs." + kind, "-q", _image);
        GuestFiles.Run("mount", "-o", "loop", _image, Path);
    }

    internal string Path { get; }

    /// <summary>Gives a tmpfs another size.</summary>
    internal void Resize(int mebibytes) => GuestFiles.Run("mount", "-o", string.Create(CultureInfo.InvariantCulture, $"remount,size={mebibytes}m"), Path);

    public void Dispose()
    {
        GuestFiles.Run("umount", "-l", Path);
        if (_image is not null)
        {
            File.Delete(_image);
        }
    }
}
