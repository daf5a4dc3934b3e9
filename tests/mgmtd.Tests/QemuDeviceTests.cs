using System.Globalization;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Devices through the calls, with the real QEMU and real guests.</summary>
[NonParallelizable]
internal sealed class QemuDeviceTests
{
    private QemuDaemon _qemu = null!;
    private string _exported = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _exported = Directory.CreateTempSubdirectory("mgmt-exported-").FullName;
        var config = JsonSerializer.Serialize(new Dictionary<string, object> { ["machined"] = false, ["exported-files"] = new[] { _exported }, ["audio-backend"] = "none", ["device-ports"] = 6 });
        _qemu = await QemuDaemon.StartAsync(new() { Backend = "qemu:///system", Config = config });
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
        Directory.Delete(_exported, recursive: true);
    }

    private async Task<string> FileAsync(string name)
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=device-added:block");
        var path = Path.Combine(_exported, name);
        await File.WriteAllBytesAsync(path + ".new", new byte[2 << 20]);
        File.Move(path + ".new", path);
        await QemuDaemon.UntilAsync(events, e => e["device"]?.StartsWith("dom0+file-" + name + ":", StringComparison.Ordinal) == true);
        return path;
    }

    private Task<string> DeviceAsync(string call, string vm, string argument, string payload = "") => Daemon.OkAsync("mgmt.vm.device.block." + call, vm, argument, payload);

    [Test]
    public async Task An_exported_file_outlives_a_killed_daemon_in_its_vm_and_is_let_go_by_the_next()
    {
        await FileAsync("data.img");
        await _qemu.MakeVmAsync("keeper");
        await DeviceAsync("Assign", "keeper", "dom0+file-data.img", "mode=required _frontend-dev=data");
        await _qemu.ReadyAsync("keeper");
        const string Listed = "dom0+file-data.img persistent=yes frontend-dev=data ro=False\n";
        Assert.That(await DeviceAsync("List", "keeper", ""), Is.EqualTo(Listed));
        Assert.That(await Daemon.OkAsync("mgmt.vm.device.block.Available", "dom0", "file-data.img"), Does.Contain(" attachment=keeper "));
        await Daemon.KillHardAsync();
        await Daemon.StartAgainAsync();
        await RunningAsync("keeper");
        Assert.That(await DeviceAsync("List", "keeper", ""), Is.EqualTo(Listed));
        await DeviceAsync("Set.assignment", "keeper", "dom0+file-data.img", "auto-attach");
        await using var events = await Daemon.EventsAsync("since=now\nsubject=keeper\nevent=device-*");
        await DeviceAsync("Detach", "keeper", "dom0+file-data.img");
        Assert.That((await QemuDaemon.UntilAsync(events, e => e.Name == "device-unassign:block")).Select(e => e.Name),
            Is.EqualTo(new[] { "device-pre-detach:block", "device-detach:block", "device-unassign:block" }));
        Assert.That(await DeviceAsync("List", "keeper", ""), Is.Empty);
        await Daemon.OkAsync("mgmt.vm.Kill", "keeper");
    }

    [Test]
    public async Task A_file_that_is_gone_refuses_the_start_of_who_requires_it()
    {
        await _qemu.MakeVmAsync("needy");
        await DeviceAsync("Assign", "needy", "dom0+file-missing.img", "mode=required");
        var refused = await Daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.vm.Start", "needy");
        Assert.That(refused.Message, Is.EqualTo("needy needs the block device dom0+file-missing.img, which is not there"));
        Assert.That(await Daemon.StateAsync("needy"), Is.EqualTo("Halted"));
        await DeviceAsync("Set.assignment", "needy", "dom0+file-missing.img", "auto-attach");
        await _qemu.ReadyAsync("needy");
        // It comes, and is plugged in by itself.
        await using var events = await Daemon.EventsAsync("since=now\nsubject=needy\nevent=device-attach:block");
        await FileAsync("missing.img");
        await events.NextAsync("device-attach:block");
        Assert.That(await DeviceAsync("List", "needy", ""), Is.EqualTo("dom0+file-missing.img persistent=yes ro=False\n"));
        await Daemon.OkAsync("mgmt.vm.Kill", "needy");
        Assert.That(await DeviceAsync("Attached", "needy", ""), Is.Empty);
    }

    [Test]
    public async Task The_private_volume_of_a_vm_is_read_by_another_while_its_own_vm_starts_and_writes()
    {
        await _qemu.MakeVmAsync("owner");
        await _qemu.MakeVmAsync("reader");
        await _qemu.ReadyAsync("reader");
        await DeviceAsync("Attach", "reader", "owner+private");
        await Daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.vm.device.block.Attach", "reader", "owner+private", "ro=False");
        await _qemu.ReadyAsync("owner");
        Assert.That(await DeviceAsync("List", "reader", ""), Is.EqualTo("owner+private persistent=no ro=True\n"));
        await Daemon.OkAsync("mgmt.vm.Kill", "owner");
        await DeviceAsync("Detach", "reader", "owner+private");
        await Daemon.OkAsync("mgmt.vm.microphone.Attach", "reader");
        Assert.That(await Daemon.OkAsync("mgmt.vm.device.mic.List", "reader"), Is.EqualTo("dom0+mic persistent=no\n"));
        await Daemon.OkAsync("mgmt.vm.microphone.Detach", "reader");
        await Daemon.OkAsync("mgmt.vm.Kill", "reader");
    }

    private async Task RunningAsync(string vm)
    {
        var until = Environment.TickCount64 + (long)DaemonProcess.Deadline.TotalMilliseconds;
        while (await Daemon.StateAsync(vm) is var now && now != "Running")
        {
            Assert.That(Environment.TickCount64, Is.LessThan(until), string.Create(CultureInfo.InvariantCulture, $"{vm} is {now}"));
            await Task.Delay(20);
        }
    }
}
