using System.Diagnostics;
using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Devices.Tests;

/// <summary>Real loop devices of this host, followed by the kernel's own events.</summary>
[NonParallelizable]
public sealed class LoopDeviceTests
{
    private string _directory;
    private string _loop;

    [SetUp]
    public void Make()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("loop devices need root");
        }
        _directory = Directory.CreateTempSubdirectory("mgmt-loop-dev-").FullName;
        using (var file = File.Create(Path.Combine(_directory, "disk")))
        {
            file.SetLength(4 << 20);
        }
        _loop = "";
    }

    [TearDown]
    public void Remove()
    {
        if (_loop is { Length: > 0 })
        {
            Run("losetup", "-d", _loop);
        }
        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    // No interval: only what the kernel tells leads to a look.
    private static HostDevices Open() => new(new HostDeviceOptions { Interval = TimeSpan.FromHours(1) }, NullLogger<HostDevices>.Instance, TimeProvider.System);

    private static string Run(string tool, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, $"{tool} {string.Join(' ', arguments)}: {process.StandardError.ReadToEnd()}");
        return output.Trim();
    }

    private static async Task<DeviceChange> ChangeAsync(HostDevices host, string port, bool added)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await foreach (var change in host.Changes.ReadAllAsync(limit.Token))
        {
            // Others on this machine have loop devices too.
            if (change.Device.Address.Port == port && change.Added == added)
            {
                return change;
            }
        }
        throw new AssertionException($"{port} was not told");
    }

    [Test]
    public async Task A_loop_device_is_told_when_it_comes_is_mounted_is_free_again_and_goes()
    {
        await using var host = Open();
        Run("mke2fs", "-q", "-F", Path.Combine(_directory, "disk"));
        _loop = Run("losetup", "-f", "--show", Path.Combine(_directory, "disk"));
        var port = Path.GetFileName(_loop);
        var come = await ChangeAsync(host, port, added: true);
        Assert.That(come.Device.Facts["size"], Is.EqualTo((4 << 20).ToString()));
        var mount = Directory.CreateDirectory(Path.Combine(_directory, "mount")).FullName;
        Run("mount", _loop, mount);
        await ChangeAsync(host, port, added: false);
        Run("umount", mount);
        await ChangeAsync(host, port, added: true);
        Run("losetup", "-d", _loop);
        _loop = "";
        await ChangeAsync(host, port, added: false);
    }

    [Test]
    public async Task A_device_that_a_vm_has_cannot_be_mounted_and_one_that_is_mounted_cannot_be_had()
    {
        await using var host = Open();
        Run("mke2fs", "-q", "-F", Path.Combine(_directory, "disk"));
        _loop = Run("losetup", "-f", "--show", Path.Combine(_directory, "disk"));
        var port = Path.GetFileName(_loop);
        var device = (await ChangeAsync(host, port, added: true)).Device;
        var mount = Directory.CreateDirectory(Path.Combine(_directory, "mount")).FullName;
        using (var open = await host.OpenAsync(device, false, CancellationToken.None))
        {
            using var refused = Process.Start(new ProcessStartInfo("mount", [_loop, mount]) { RedirectStandardError = true })!;
            await refused.WaitForExitAsync();
            Assert.That(refused.ExitCode, Is.Not.Zero);
        }
        Run("mount", _loop, mount);
        try
        {
            var error = (await Assert.ThrowsAsync<MgmtException>(() => host.OpenAsync(device, false, CancellationToken.None)))!;
            Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesException), error.Message);
        }
        finally
        {
            Run("umount", mount);
        }
    }
}
