using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The setting guest-vsock on a host that has no vsock: VMs run without it, and it is said.</summary>
public sealed class QemuVsockTests
{
    [Test]
    public async Task A_vm_starts_without_vsock_where_there_is_none_and_is_marked()
    {
        if (File.Exists("/dev/vhost-vsock"))
        {
            Requirement.Missing("this host has vsock; the test is of one that has not");
        }
        await using var qemu = await QemuDaemon.StartAsync(new() { Backend = "qemu:///system", Config = """{ "machined": false, "guest-vsock": "on" }""" });
        await qemu.MakeVmAsync("work");
        await qemu.Process.OkAsync("mgmt.vm.property.Set", "work", "kernel", "");
        await qemu.Process.OkAsync("mgmt.vm.Start", "work");
        var daemon = qemu.Process;
        Assert.That(qemu.CommandLine("work"), Has.None.Contains("vsock"));
        await TestUntil.TrueAsync(async () => (await daemon.OkAsync("mgmt.vm.CurrentState", "work")).Contains("fault=vsock", StringComparison.Ordinal));
        using var status = JsonDocument.Parse(await daemon.OkAsync("mgmt.Status"));
        Assert.That(status.RootElement.GetProperty("host").GetProperty("vsock").GetString(), Does.Contain("modprobe vhost_vsock"));
        // The next daemon finds it as it is.
        await daemon.RestartAsync();
        await TestUntil.TrueAsync(async () => (await daemon.OkAsync("mgmt.vm.CurrentState", "work")).Contains("fault=vsock", StringComparison.Ordinal));
    }
}
