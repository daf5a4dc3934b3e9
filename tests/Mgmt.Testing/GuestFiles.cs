using System.Diagnostics;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Testing;

/// <summary>The small guest that integration tests boot, built on first use by tests/guest/build-guest into out/guest.</summary>
public static class GuestFiles
{
    private static readonly Lazy<string> Built = new(Build);

    /// <summary>The repository's root: the nearest directory above the test with the solution in it.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>The guest's raw root image.</summary>
    public static string RootImage => Path.Combine(Built.Value, "root.img");

    /// <summary>The directory with vmlinuz and initramfs.</summary>
    public static string KernelDirectory => Path.Combine(Built.Value, "kernel");

    /// <summary>Builds the guest if it is missing or old. Fails on CI, and skips the test elsewhere, when it cannot be built.</summary>
    public static void Require()
    {
        try
        {
            _ = Built.Value;
        }
        catch (InvalidOperationException e) when (Environment.GetEnvironmentVariable("CI") is null)
        {
            Assert.Ignore(e.Message);
        }
    }

    /// <summary>The kernel, opened.</summary>
    public static BootImage OpenKernel() => new(
        "demo",
        File.OpenHandle(Path.Combine(KernelDirectory, "vmlinuz")),
        File.OpenHandle(Path.Combine(KernelDirectory, "initramfs")));

    /// <summary>Makes a new root disk in <paramref name="directory"/>, a qcow2 on the guest's root, and opens both.</summary>
    public static OpenVolume NewRoot(string directory, string name)
    {
        var overlay = Path.Combine(directory, name + ".qcow2");
        Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", RootImage, "-F", "raw", overlay);
        var top = new ImageLayer(File.OpenHandle(overlay, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite), "qcow2", false);
        var below = new ImageLayer(File.OpenHandle(RootImage, FileMode.Open, FileAccess.Read, FileShare.ReadWrite), "raw", true);
        return new OpenVolume(VolumeName.Root, false, new FileInfo(RootImage).Length, [top, below]);
    }

    /// <summary>Runs a program to its end. ERRORS: InvalidOperationException with what it said.</summary>
    public static void Run(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            var said = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                throw new InvalidOperationException($"{program} failed: {said}");
            }
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException($"{program} is missing", e);
        }
    }

    private static string Build()
    {
        var guest = Path.Combine(RepositoryRoot, "out", "guest");
        Run(Path.Combine(RepositoryRoot, "tests", "guest", "build-guest"), guest);
        return guest;
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Mgmt.sln")))
        {
            directory = directory.Parent;
        }
        return directory?.FullName ?? throw new InvalidOperationException("the tests do not run inside the repository");
    }
}
