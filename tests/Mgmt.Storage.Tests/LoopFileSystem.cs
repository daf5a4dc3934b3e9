using Mgmt.Testing;
using System.Diagnostics;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>
/// Real file systems in files: made and mounted when a test first asks for one, unmounted after the last test. Those of a run that was
/// killed are unmounted by the next. Needs root: a plain user's run skips by name, on CI it fails.
/// </summary>
internal static class LoopFileSystem
{
    private const string Prefix = "mgmt-loop-";
    private static readonly Dictionary<string, string> Mounted = new(StringComparer.Ordinal);

    /// <summary>A new directory on a file system: <c>btrfs</c>, <c>xfs</c>, <c>ext4</c> or <c>tmpfs</c>; the empty name is that of temporary files.</summary>
    internal static string NewDirectory(string kind)
    {
        if (kind.Length == 0)
        {
            return Directory.CreateTempSubdirectory("mgmt-storage-").FullName;
        }
        lock (Mounted)
        {
            if (!Mounted.TryGetValue(kind, out var mount))
            {
                Mounted[kind] = mount = Mount(kind, 400);
            }
            return Directory.CreateDirectory(Path.Combine(mount, Guid.NewGuid().ToString("N"))).FullName;
        }
    }

    /// <summary>A file system of its own, of so many MiB. Unmounted with the others.</summary>
    internal static string Mount(string kind, int mebibytes)
    {
        RequireRoot();
        var home = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"{Prefix}{Environment.ProcessId}-{Guid.NewGuid():N}")).FullName;
        var mount = Directory.CreateDirectory(Path.Combine(home, "mount")).FullName;
        if (kind == "tmpfs")
        {
            Run("mount", "-t", "tmpfs", "-o", $"size={mebibytes}m", "none", mount);
            return mount;
        }
        var image = Path.Combine(home, "disk");
        using (var file = File.OpenHandle(image, FileMode.CreateNew, FileAccess.Write))
        {
            RandomAccess.SetLength(file, (long)mebibytes << 20);
        }
        Run("mkfs." + kind, "-q", image);
        Run("mount", "-o", "loop", image, mount);
        return mount;
    }

    internal static void UnmountAll()
    {
        foreach (var mount in File.ReadLines("/proc/mounts").Select(line => line.Split(' ')[1]).Where(IsOver).ToList())
        {
            Run("umount", "-l", mount);
            Directory.Delete(Path.GetDirectoryName(mount)!, recursive: true);
        }
        Mounted.Clear();
    }

    internal static void Run(string tool, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"{tool} {string.Join(' ', arguments)}: {errors}");
    }

    /// <summary>Skips a test that a plain user cannot run; CI has no plain users.</summary>
    internal static void RequireRoot()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("mount needs root");
        }
    }

    // Ours, or of a process that is gone.
    private static bool IsOver(string mount)
    {
        var start = Path.Combine(Path.GetTempPath(), Prefix);
        return mount.StartsWith(start, StringComparison.Ordinal) && int.TryParse(mount[start.Length..].Split('-')[0], out var pid)
            && (pid == Environment.ProcessId || !Directory.Exists("/proc/" + pid));
    }
}

/// <summary>Before the first test and after the last.</summary>
[SetUpFixture]
public sealed class LoopFileSystems
{
    [OneTimeSetUp]
    public void CleanUpAfterAKilledRun() => Clean();

    [OneTimeTearDown]
    public void Unmount() => Clean();

    private static void Clean()
    {
        if (Environment.IsPrivilegedProcess)
        {
            LoopFileSystem.UnmountAll();
        }
    }
}
