using System.Diagnostics;
using System.Text.Json;

namespace Mgmt.Daemon.Tests;

/// <summary>What a pool's files hold, read past the daemon.</summary>
internal static class DiskImages
{
    /// <summary>The bytes of a disk in a file that ends in <c>.qcow2</c>, or else is raw. It may be in use.</summary>
    internal static async Task<byte[]> ReadAsync(string file)
    {
        if (!file.EndsWith(".qcow2", StringComparison.Ordinal))
        {
            return await File.ReadAllBytesAsync(file);
        }
        var raw = Path.GetTempFileName();
        try
        {
            await RunAsync("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", file, raw);
            return await File.ReadAllBytesAsync(raw);
        }
        finally
        {
            File.Delete(raw);
        }
    }

    /// <summary>The size of a qcow2's disk in bytes.</summary>
    internal static async Task<long> SizeAsync(string file)
    {
        using var info = JsonDocument.Parse(await RunAsync("qemu-img", "info", "-U", "-f", "qcow2", "--output=json", file));
        return info.RootElement.GetProperty("virtual-size").GetInt64();
    }

    /// <summary>Bytes that look like nothing else, the same for the same seed.</summary>
    internal static byte[] Noise(int bytes, int seed)
    {
        var noise = new byte[bytes];
        new Random(seed).NextBytes(noise);
        return noise;
    }

    /// <summary>Runs a program that has to succeed, and gives what it says.</summary>
    internal static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero, $"{program} {string.Join(' ', arguments)}");
        return output;
    }
}
