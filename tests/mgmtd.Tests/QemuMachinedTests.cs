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
        foreach (var vm in new[] { "work", "blank", "taken", "left" })
        {
            await _qemu.MakeVmAsync(vm);
        }
        await Daemon.OkAsync("mgmt.vm.property.Set", "blank", "kernel", "");
        await Daemon.OkAsync("mgmt.vm.property.Set", "taken", "kernel", "");
        await Daemon.OkAsync("mgmt.vm.property.Set", "left", "kernel", "");
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
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", "work"), Does.Not.Contain("fault="));
        Assert.That(await Daemon.OkAsync("mgmt.machine.List"), Does.Not.Contain(machine));
        Assert.That((await Daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.machine.Kill", "dom0", machine)).Message, Does.Contain("is the VM work"));
        var listed = await RunAsync("machinectl", "--no-legend", "--no-pager", "list");
        Assert.That(listed, Does.Match($"(?m)^{machine} +vm +mgmtd"));
        var shown = await RunAsync("machinectl", "--no-pager", "show", machine);
        Assert.That(shown.Split('\n'), Does.Contain("Class=vm").And.Contain($"Leader={_qemu.Pid("work")}")
            .And.Contain("Id=" + Guid.Parse((await Daemon.OkAsync("mgmt.vm.property.Get", "work", "uuid")).Split(' ')[^1]).ToString("N")));
        await Daemon.OkAsync("mgmt.vm.Shutdown", "work", "wait");
        Assert.That(await RunAsync("machinectl", "--no-legend", "--no-pager", "list"), Does.Not.Contain(machine));
        // The VM has events of its own; the machine of somebody else is told of, and is the first that is.
        using var other = await OtherAsync("other");
        var told = await QemuDaemon.UntilAsync(events, e => e.Name == "machine-new");
        Assert.That(told.Where(e => e.Name.StartsWith("machine-", StringComparison.Ordinal)).Select(e => e["machine"]), Is.EqualTo(new[] { "other" }));
        other.Kill();
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
        await MachinedStateAsync("ok");
        // It became a machine of its own, with the process that it had.
        await UntilAsync(() => Daemon.OkAsync("mgmt.vm.CurrentState", "blank"), text => !text.Contains("fault=", StringComparison.Ordinal));
        Assert.That((await RunAsync("machinectl", "--no-pager", "show", await MachineAsync("blank"))).Split('\n'), Does.Contain($"Leader={_qemu.Pid("blank")}").And.Contain("Service=mgmtd"));
        Assert.That(File.ReadAllText($"/proc/{_qemu.Pid("blank")}/cgroup"), Does.Contain("machine.slice/machine-mgmt"));
        await Daemon.RestartAsync();
        await StateAsync("blank", "Running");
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", "blank"), Does.Not.Contain("fault="), "what it became was written down");
        await Daemon.OkAsync("mgmt.vm.Kill", "blank");
    }

    [Test]
    public async Task A_pool_of_images_is_opened_when_machined_is_back()
    {
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", "machined", "name=machines\n");
        _machined.KillMachined();
        await MachinedStateAsync("absent");
        await Daemon.RestartAsync();
        Assert.That(await PoolStateAsync(), Is.EqualTo("broken"));
        await _machined.StartMachinedAsync(CancellationToken.None);
        await UntilAsync(PoolStateAsync, state => state == "ok");
        Assert.That(await Daemon.OkAsync("mgmt.pool.image.List", "dom0", "machines"), Is.Empty);
        await Daemon.OkAsync("mgmt.pool.Remove", "dom0", "machines");
    }

    private async Task<string> PoolStateAsync()
    {
        using var status = JsonDocument.Parse(await Daemon.OkAsync("mgmt.Status"));
        return status.RootElement.GetProperty("storage").EnumerateArray().Single(pool => pool.GetProperty("pool").GetString() == "machines").GetProperty("state").GetString()!;
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
        using var leader = await OtherAsync(machine);
        try
        {
            await StartsSoonAsync("taken");
            await FaultAsync("taken");
            await Daemon.RestartAsync(); // compares at once
            await UntilAsync(() => Daemon.OkAsync("mgmt.Status"), text => text.Contains("VM taken is in no machine of its own", StringComparison.Ordinal));
            Assert.That(await Daemon.OkAsync("mgmt.machine.List"), Does.Contain(machine), "not ours, whatever it is called");
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

    [Test]
    public async Task A_machine_that_is_left_of_a_halted_vm_is_killed_and_that_of_one_that_runs_is_not()
    {
        var machine = await MachineAsync("left");
        var uuid = Guid.Parse((await Daemon.OkAsync("mgmt.vm.property.Get", "left", "uuid")).Split(' ')[^1]);
        using (var leader = await OtherAsync(machine, uuid))
        {
            await Daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.machine.Info", "dom0", machine);
            await Daemon.OkAsync("mgmt.machine.Kill", "dom0", machine);
            await leader.WaitForExitAsync(new CancellationTokenSource(DaemonProcess.Deadline).Token);
        }
        await UntilAsync(() => RunAsync("machinectl", "--no-legend", "--no-pager", "list"), list => !list.Contains(machine, StringComparison.Ordinal));
        await Daemon.OkAsync("mgmt.vm.Start", "left");
        Assert.That((await Daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.machine.Kill", "dom0", machine)).Message, Does.Contain("is the VM left"));
        Assert.That(await Daemon.StateAsync("left"), Is.EqualTo("Running"));
        await Daemon.OkAsync("mgmt.vm.Kill", "left");
    }

    /// <summary>A machine that mgmtd did not make: its leader.</summary>
    private async Task<Process> OtherAsync(string machine, Guid? uuid = null)
    {
        var leader = Process.Start(new ProcessStartInfo("sleep", ["600"]))!;
        await RunAsync(["busctl", "call", .. Busctl.Split(' '), "CreateMachine", "sayssusa(sv)", machine, "16", .. Id(uuid), "test", "container",
            leader.Id.ToString(System.Globalization.CultureInfo.InvariantCulture), "", "0"]);
        return leader;
    }

    private static IEnumerable<string> Id(Guid? uuid) =>
        uuid is { } id ? id.ToByteArray(bigEndian: true).Select(b => b.ToString(System.Globalization.CultureInfo.InvariantCulture)) : Enumerable.Repeat("7", 16);

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
