using System.Globalization;
using System.Runtime.InteropServices;

namespace Mgmt.State.Tests;

/// <summary>
/// Makes the kernel refuse what SQLite does with a file, for real: every descriptor of this process for that file is
/// replaced by one of a device. /dev/full refuses to write (ENOSPC); /dev/null takes what is written and refuses fsync
/// (EINVAL), as a dying disk does; /dev/zero is opened for reading only and refuses to write (EBADF).
/// </summary>
internal sealed partial class FileFault : IDisposable
{
    private readonly List<(int Descriptor, int Saved)> _replaced = [];

    internal FileFault(string file, string instead)
    {
        using var device = File.OpenHandle(instead, FileMode.Open, instead == "/dev/zero" ? FileAccess.Read : FileAccess.Write, FileShare.ReadWrite);
        // All are found before the first is duplicated, or the duplicates would be found too.
        var descriptors = Directory.GetFileSystemEntries("/proc/self/fd").Where(link => Target(link) == file).Select(link => int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture)).ToList();
        foreach (var descriptor in descriptors)
        {
            var saved = Dup(descriptor);
            Assert.That(saved, Is.GreaterThan(0));
            _replaced.Add((descriptor, saved));
            Assert.That(Dup2((int)device.DangerousGetHandle(), descriptor), Is.EqualTo(descriptor));
        }
        Assert.That(_replaced, Is.Not.Empty);
    }

    public void Dispose()
    {
        foreach (var (descriptor, saved) in _replaced)
        {
            Dup2(saved, descriptor);
            Close(saved);
        }
        _replaced.Clear();
    }

    private static string? Target(string link)
    {
        try
        {
            return File.ResolveLinkTarget(link, returnFinalTarget: false)?.FullName;
        }
        catch (IOException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    private static partial int Dup(int descriptor);

    [LibraryImport("libc", EntryPoint = "dup2")]
    private static partial int Dup2(int from, int to);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
