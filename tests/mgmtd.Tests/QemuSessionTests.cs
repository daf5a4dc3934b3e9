using System.Diagnostics;
using System.Globalization;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>qemu:///session: a daemon and a VM without any privilege.</summary>
[NonParallelizable]
internal sealed class QemuSessionTests
{
    private const int Uid = 65534;
    private const int Stranger = 65533;

    [Test]
    public async Task A_plain_user_boots_a_vm_that_only_they_reach()
    {
        Requirement.Program("socat");
        await using var qemu = await QemuDaemon.StartAsync(new DaemonOptions { Backend = "qemu:///session", Uid = Uid });
        await qemu.MakeVmAsync("mine");
        await qemu.ReadyAsync("mine");
        Assert.That(await qemu.Process.OkAsync("mgmt.vm.agent.OsInfo", "mine"), Does.Contain("mgmt-demo"));
        foreach (var pid in new[] { qemu.Process.Pid, qemu.Pid("mine") })
        {
            var status = await File.ReadAllLinesAsync($"/proc/{pid}/status");
            Assert.That(status, Does.Contain($"Uid:\t{Uid}\t{Uid}\t{Uid}\t{Uid}").And.Contain("CapEff:\t" + new string('0', 16)));
        }
        Assert.That(await File.ReadAllLinesAsync($"/proc/{qemu.Pid("mine")}/status"), Does.Contain("Seccomp:\t2"));
        const UnixFileMode own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Assert.That(File.GetUnixFileMode(qemu.Process.RunDirectory), Is.EqualTo(own));
        Assert.That(await ConnectsAsync(Uid, Uid, qemu.Process.SocketPath), Is.True);
        Assert.That(await ConnectsAsync(Stranger, Stranger, qemu.Process.SocketPath), Is.False, "others");
        Assert.That(await ConnectsAsync(Stranger, Uid, qemu.Process.SocketPath), Is.False, "the group");
        await qemu.Process.OkAsync("mgmt.vm.Shutdown", "mine", "wait");
        Assert.That(await qemu.Process.StateAsync("mine"), Is.EqualTo("Halted"));
    }

    private static async Task<bool> ConnectsAsync(int uid, int gid, string path)
    {
        string[] words = [string.Create(CultureInfo.InvariantCulture, $"--reuid={uid}"), string.Create(CultureInfo.InvariantCulture, $"--regid={gid}"), "--clear-groups", "--",
            "socat", "-u", "/dev/null", "UNIX-CONNECT:" + path];
        using var process = Process.Start(new ProcessStartInfo("setpriv", words) { RedirectStandardError = true })!;
        var said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode == 0 || said.Contains("Permission denied", StringComparison.Ordinal), said);
        return process.ExitCode == 0;
    }
}
