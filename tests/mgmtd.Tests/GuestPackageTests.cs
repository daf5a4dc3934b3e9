using System.Diagnostics;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The programs of a guest as a Debian package.</summary>
public sealed class GuestPackageTests
{
    [Test]
    public async Task The_package_has_the_programs_and_who_may_use_them()
    {
        Requirement.Program("make");
        Requirement.Program("gcc");
        Requirement.Program("dpkg-deb");
        GuestFiles.Run("make", "-s", "-C", Repository.Root, "guest-deb");
        var package = Directory.EnumerateFiles(Path.Combine(Repository.Root, "out", "guest-deb"), "mgmt-guest_*.deb").Single();
        var content = await OutputAsync("dpkg-deb", "--contents", package);
        Assert.Multiple(() =>
        {
            Assert.That(content, Does.Match("-rwxr-xr-x root/root .* ./usr/bin/qrexec-client-vm\n"));
            Assert.That(content, Does.Match("-rwxr-xr-x root/root .* ./usr/sbin/mgmt-agent\n"));
            Assert.That(content, Does.Match("-rwxr-xr-x root/root .* ./usr/sbin/mgmt-vchan-bridge\n"));
            Assert.That(content, Does.Match("-rw-r--r-- root/root .* ./usr/lib/udev/rules.d/70-mgmt-guest.rules\n"));
            // What a package says of a directory that is there already, dpkg does.
            Assert.That(content, Does.Match("drwxr-xr-x root/root .* \\./\n"));
        });
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

    private static async Task<string> OutputAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero);
        return output;
    }
}
