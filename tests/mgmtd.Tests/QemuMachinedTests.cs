using System.Diagnostics;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>VMs as machines of the real systemd-machined, and what happens when it is not there, silent, or thinks otherwise.</summary>
[NonParallelizable]
internal sealed class QemuMachinedTests
{
    private const string Busctl = "org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager";
    private MachinedHost _machined = null!;
    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _machined = await MachinedHost.StartAsync(CancellationToken.None);
        _qemu = await QemuDaemon.StartAsync(new DaemonOptions
        {
            Backend = "qemu:///system",
            Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["DBUS_SYSTEM_BUS_ADDRESS"] = _machined.BusAddress },
        });
        foreach (var vm in new[] { "work", "blank", "taken" })
        {
            await _qemu.MakeVmAsync(vm);
        }
        await Daemon.OkAsync("mgmt.vm.property.Set", "blank", "kernel", "");
        await Daemon.OkAsync("mgmt.vm.property.Set", "taken", "kernel", "");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
        if (_machined is not null)
        {
            await _machined.DisposeAsync();
        }
    }

    [Test]
    public async Task A_vm_is_a_machine_from_its_start_to_its_shutdown()
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=machine-*");
        await _qemu.ReadyAsync("work");
        var machine = await MachineAsync("work");
        var added = await QemuDaemon.UntilAsync(events, e => e.Name == "machine-new");
        Assert.That(added.Where(e => e["machine"] == machine).Select(e => e.Name), Is.EqualTo(new[] { "machine-new" }));
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", "work"), Does.Not.Contain("fault="));
        var listed = await RunAsync("machinectl", "--no-legend", "--no-pager", "list");
        Assert.That(listed, Does.Match($"(?m)^{machine} +vm +mgmtd"));
        var shown = await RunAsync("machinectl", "--no-pager", "show", machine);
        Assert.That(shown.Split('\n'), Does.Contain("Class=vm").And.Contain($"Leader={_qemu.Pid("work")}")
            .And.Contain("Id=" + Guid.Parse((await Daemon.OkAsync("mgmt.vm.property.Get", "work", "uuid")).Split(' ')[^1]).ToString("N")));
        await Daemon.OkAsync("mgmt.vm.Shutdown", "work", "wait");
        var removed = await QemuDaemon.UntilAsync(events, e => e.Name == "machine-removed");
        Assert.That(removed.Select(e => e["machine"]), Is.EqualTo(new[] { machine }));
        Assert.That(await RunAsync("machinectl", "--no-legend", "--no-pager", "list"), Does.Not.Contain(machine));
    }

    [Test]
    public async Task Without_machined_vms_start_run_and_are_adopted_with_a_fault()
    {
        _machined.KillMachined();
        try
        {
            await MachinedStateAsync("absent");
            await using (var events = await Daemon.EventsAsync("since=now\nsubject=blank\nevent=fault-set"))
            {
                await StartsSoonAsync("blank");
                Assert.That((await QemuDaemon.UntilAsync(events, e => e.Name == "fault-set"))[0]["fault"], Is.EqualTo("machined"));
            }
            var pid = _qemu.Pid("blank");
            await Daemon.KillHardAsync();
            await Daemon.StartAgainAsync();
            await StateAsync("blank", "Running");
            Assert.That(_qemu.Pid("blank"), Is.EqualTo(pid));
            await FaultAsync("blank");
        }
        finally
        {
            await _machined.StartMachinedAsync(CancellationToken.None);
        }
        await Daemon.OkAsync("mgmt.vm.Kill", "blank");
        await MachinedStateAsync("ok");
    }

    [Test]
    public async Task A_machined_that_is_silent_delays_a_start_by_little()
    {
        _machined.Freeze();
        try
        {
            await StartsSoonAsync("blank");
            await FaultAsync("blank");
            await MachinedStateAsync("slow");
        }
        finally
        {
            _machined.Thaw();
        }
        await MachinedStateAsync("ok");
        await Daemon.OkAsync("mgmt.vm.Kill", "blank");
        Assert.That(await Daemon.StateAsync("blank"), Is.EqualTo("Halted"));
    }

    [Test]
    public async Task A_name_that_another_machine_has_is_left_to_it()
    {
        var machine = await MachineAsync("taken");
        using var leader = Process.Start(new ProcessStartInfo("sleep", ["600"]))!;
        try
        {
            await RunAsync(["busctl", "call", .. Busctl.Split(' '), "CreateMachine", "sayssusa(sv)", machine, "16", .. Enumerable.Repeat("7", 16), "test", "container",
                leader.Id.ToString(System.Globalization.CultureInfo.InvariantCulture), "", "0"]);
            await StartsSoonAsync("taken");
            await FaultAsync("taken");
            Assert.That((await RunAsync("machinectl", "--no-pager", "show", machine)).Split('\n'), Does.Contain($"Leader={leader.Id}"));
            await Daemon.OkAsync("mgmt.vm.Kill", "taken");
            Assert.That(leader.HasExited, Is.False);
            Assert.That((await RunAsync("machinectl", "--no-pager", "show", machine)).Split('\n'), Does.Contain($"Leader={leader.Id}"));
        }
        finally
        {
            leader.Kill();
            await leader.WaitForExitAsync();
        }
    }

    private async Task StartsSoonAsync(string vm)
    {
        var began = Environment.TickCount64;
        await Daemon.OkAsync("mgmt.vm.Start", vm);
        Assert.That(Environment.TickCount64 - began, Is.LessThan(8000));
        Assert.That(await Daemon.StateAsync(vm), Is.EqualTo("Running"));
    }

    /// <summary>The name that its machine has to have.</summary>
    private async Task<string> MachineAsync(string vm) => $"mgmt-{(await Daemon.OkAsync("mgmt.vm.property.Get", vm, "qid")).Split(' ')[^1]}-{vm}";

    private Task<string> RunAsync(params string[] command) => _machined.RunAsync(command, CancellationToken.None);

    private Task FaultAsync(string vm) => UntilAsync(() => Daemon.OkAsync("mgmt.vm.CurrentState", vm), text => text.Contains("fault=machined", StringComparison.Ordinal));

    private Task StateAsync(string vm, string state) => UntilAsync(() => Daemon.StateAsync(vm), text => text == state);

    private Task MachinedStateAsync(string state) => UntilAsync(() => Daemon.OkAsync("mgmt.Status"), text =>
    {
        using var status = JsonDocument.Parse(text);
        return status.RootElement.GetProperty("machined").GetProperty("state").GetString() == state;
    });

    private static async Task UntilAsync(Func<Task<string>> ask, Func<string, bool> isSo)
    {
        var until = Environment.TickCount64 + (long)DaemonProcess.Deadline.TotalMilliseconds;
        while (await ask() is var answer && !isSo(answer))
        {
            Assert.That(Environment.TickCount64, Is.LessThan(until), answer);
            await Task.Delay(20);
        }
    }
}
