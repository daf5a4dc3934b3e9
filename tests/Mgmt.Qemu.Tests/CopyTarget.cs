using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Qemu.Tests;

/// <summary>An empty image for a copy, as a pool would make it, and what is in it afterwards.</summary>
internal sealed class CopyTarget : IDisposable
{
    private readonly string _path;

    public CopyTarget(string directory, string format, long sizeBytes)
    {
        _path = Path.Combine(directory, "target." + format);
        GuestFiles.Run("qemu-img", "create", "-q", "-f", format, _path, sizeBytes.ToString(System.Globalization.CultureInfo.InvariantCulture));
        File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Image = new ImageLayer(File.OpenHandle(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite), format, false);
    }

    public ImageLayer Image { get; }

    /// <summary>A raw copy of what the image holds, which the image's own checks found sound.</summary>
    public string ToRaw()
    {
        var raw = _path + ".raw";
        if (Image.Format == "qcow2")
        {
            GuestFiles.Run("qemu-img", "check", "-q", "-f", "qcow2", _path);
        }
        GuestFiles.Run("qemu-img", "convert", "-f", Image.Format, "-O", "raw", _path, raw);
        return raw;
    }

    /// <summary>Replays the journal of the file system, as a mount would, and gives a file's content; null when there is none.</summary>
    public static string? ReadFile(string raw, string path)
    {
        var (code, said) = Output("e2fsck", "-fy", raw);
        Assert.That(code, Is.LessThanOrEqualTo(1), said);
        (_, said) = Output("debugfs", "-R", $"stat {path}", raw);
        return said.Contains("Inode:", StringComparison.Ordinal) ? Output("debugfs", "-R", $"cat {path}", raw).Text : null;
    }

    /// <summary>A program's exit status and standard output.</summary>
    public static (int Code, string Text) Output(string program, params string[] arguments)
    {
        // The programs for ext4 lie where a user's PATH may not lead.
        Environment.SetEnvironmentVariable("PATH", Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin");
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        _ = error.GetAwaiter().GetResult();
        return (process.ExitCode, text);
    }

    public void Dispose() => Image.File.Dispose();
}
