using System.Diagnostics;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The programs of a guest as Debian packages.</summary>
public sealed class GuestPackageTests
{
    [Test]
    public async Task The_packages_have_the_programs_and_who_may_use_them()
    {
        var content = await OutputAsync("dpkg-deb", "--contents", Package("mgmt-guest"));
        Assert.Multiple(() =>
        {
            Assert.That(content, Does.Match("-rwxr-xr-x root/root .* ./usr/bin/qrexec-client-vm\n"));
            Assert.That(content, Does.Match("-rwxr-xr-x root/root .* ./usr/sbin/mgmt-agent\n"));
            Assert.That(content, Does.Match("-rw-r--r-- root/root .* ./usr/lib/udev/rules.d/70-mgmt-guest.rules\n"));
            Assert.That(content, Does.Match("-rw-r--r-- root/root .* ./usr/lib/systemd/system/mgmt-agent.service\n"));
            Assert.That(content, Does.Match("-rw-r--r-- root/root .* ./usr/share/doc/mgmt-guest/copyright\n"));
            // What a package says of a directory that is there already, dpkg does.
            Assert.That(content, Does.Match("drwxr-xr-x root/root .* \\./\n"));
            // Qubes' agent has a client of the same name: beside it goes the bridge alone.
            Assert.That(content, Does.Not.Contain("bridge"));
        });
        content = await OutputAsync("dpkg-deb", "--contents", Package("mgmt-vchan-bridge"));
        Assert.That(content, Does.Match("-rwxr-xr-x root/root .* ./usr/sbin/mgmt-vchan-bridge\n"));
        Assert.That(content, Does.Not.Contain("usr/bin"));
        Assert.That(await OutputAsync("dpkg-deb", "--field", Package("mgmt-guest"), "Conflicts", "Version"), Does.Contain("qubes-core-qrexec").And.Match("Version: [0-9]+\\.[0-9]+\\.[0-9]+(~.*)?\n"));
    }

    [TestCase("mgmt-guest", 1)]
    [TestCase("mgmt-vchan-bridge", 0)]
    public async Task A_package_is_installed_upgraded_and_leaves_no_file_behind(string name, int groups)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Requirement.Missing("installing a package needs root");
        }
        Requirement.Program("busybox");
        var root = Directory.CreateTempSubdirectory("pkg-").FullName;
        try
        {
            var steps = (await OutputAsync(Path.Combine(Repository.Root, "tests", "guest", "try-package"), root, Package(name))).TrimEnd().Split('\n');
            Assert.That(steps[0], Does.Match($"^installed: install ok installed, ([0-9]+) of \\1 files, {groups} groups$"));
            Assert.That(steps[1], Is.EqualTo(steps[0].Replace("installed: ", "again: ", StringComparison.Ordinal)));
            Assert.That(steps[2], Does.Match("^removed: deinstall ok config-files, 0 of "));
            Assert.That(steps[3], Does.Match("^purged: unknown, 0 of "));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Test]
    public async Task The_client_says_how_it_is_used()
    {
        var programs = Path.Combine(Repository.Root, "out", "guest-programs");
        Requirement.Program("gcc");
        GuestFiles.Run("make", "-s", "-C", Path.Combine(Repository.Root, "src", "guest"), "OUT=" + programs);
        var client = Path.Combine(programs, "qrexec-client-vm");
        Assert.That(await OutputAsync(client, "--help"), Does.StartWith("usage: qrexec-client-vm [options] TARGET SERVICE[+ARG]"));
        using var wrong = Process.Start(new ProcessStartInfo(client, ["dom0"]) { RedirectStandardError = true })!;
        await wrong.WaitForExitAsync();
        Assert.That(wrong.ExitCode, Is.EqualTo(2));
    }

    /// <summary>Made anew, so that it is of what is there now.</summary>
    private static string Package(string name)
    {
        Requirement.Program("make");
        Requirement.Program("gcc");
        Requirement.Program("dpkg-deb");
        GuestFiles.Run("make", "-s", "-C", Repository.Root, "guest-deb");
        return Directory.EnumerateFiles(Path.Combine(Repository.Root, "out", "guest-deb"), name + "_*.deb").Single();
    }

    private static async Task<string> OutputAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero);
        return output;
    }
}
