using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

public sealed class LifecycleTests : DaemonFixture
{
    private static readonly string[] StartNames =
    [
        "domain-pre-start", "domain-pre-spawn", "property-reset:xid", "property-reset:stubdom_xid", "property-reset:start_time", "domain-spawn", "domain-pre-unpaused", "domain-unpaused", "domain-start",
    ];

    protected override DaemonOptions Options => new()
    {
        Host = """
            {
              "pools": { "default": { "driver": "qcow2" }, "linux-kernel": { "driver": "linux-kernel", "config": { "kernels": "6.1" } } },
              "properties": { "default_shutdown_timeout": "1" },
              "vms": {
                "debian": { "class": "TemplateVM", "properties": { "label": "black" }, "volumes": {
                  "root": { "pool": "default", "vid": "vm-templates/debian/root", "size": 1048576, "rw": true, "save_on_stop": true, "snap_on_start": false } } },
                "plain": { "class": "StandaloneVM", "properties": { "label": "red" } },
                "net": { "class": "StandaloneVM", "properties": { "label": "red", "provides_network": "True" } },
                "behind": { "class": "StandaloneVM", "properties": { "label": "red", "netvm": "net" } },
                "slow": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "delays": { "launch": 400 } } },
                "glacial": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "delays": { "launch": 60000 } } },
                "stubborn": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "shutdown": "ignored" } } },
                "mute": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "agent": "absent" } } },
                "crashes": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "crash-after-ms": 500 } } },
                "no-launch": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "launch": "fails: no such machine type" } } },
                "no-run": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "continue": "fails: the monitor does not answer" } } },
                "bad-disk": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "storage": { "start": "disk error" } } }, "volumes": {
                  "root": { "pool": "default", "vid": "appvms/bad-disk/root", "size": 1048576, "rw": true, "save_on_stop": true, "snap_on_start": false } } },
                "unplaced": { "class": "StandaloneVM", "properties": { "label": "red" }, "behaviour": { "faults": { "machined": "machined" } } }
              }
            }
            """,
    };

    [Test]
    public async Task A_start_tells_its_events_in_order()
    {
        await using var events = await Daemon.EventsAsync("subject=plain");
        await Daemon.OkAsync("mgmt.vm.Start", "plain");
        Assert.That(await Daemon.StateAsync("plain"), Is.EqualTo("Running"));
        var started = await events.UntilAsync(e => e.Name == "domain-start");
        Assert.That(started.Select(e => e.Name), Is.EqualTo(StartNames));
        Assert.That(started[0].Pairs.Select(p => p.Key), Is.EqualTo(new[] { "start_guid", "mem_required" }));
        Assert.That(started[^1]["start_guid"], Is.EqualTo(started[0]["start_guid"]));

        await Daemon.OkAsync("mgmt.vm.Start", "plain");
        await Daemon.OkAsync("mgmt.vm.Shutdown", "plain", "wait");
        var down = await events.UntilAsync(e => e.Name == "domain-shutdown");
        Assert.That(down.Select(e => e.Name).Where(n => n != "agent-state"),
            Is.EqualTo(new[] { "domain-pre-shutdown", "domain-shutdown-step", "domain-stopped", "property-reset:xid", "property-reset:stubdom_xid", "property-reset:start_time", "domain-shutdown" }));
        Assert.That(await Daemon.StateAsync("plain"), Is.EqualTo("Halted"));
    }

    [TestCase("no-launch", "no such machine type", "QubesException")]
    [TestCase("no-run", "the monitor does not answer", "MgmtUnavailableError")]
    [TestCase("bad-disk", "disk error", "StoragePoolException")]
    public async Task A_start_that_fails_is_undone(string vm, string reason, string type)
    {
        await using var events = await Daemon.EventsAsync("subject=" + vm);
        var failure = (Reply.Failure)await Daemon.CallAsync("mgmt.vm.Start", vm);
        Assert.That(failure.Type, Is.EqualTo(type));
        Assert.That(failure.Message, Does.Contain(reason));
        var failed = await events.NextAsync("domain-start-failed");
        Assert.That(failed["reason"], Does.Contain(reason));
        Assert.That(events.Seen.Select(e => e.Name), Does.Not.Contain("domain-start"));
        Assert.That(await Daemon.StateAsync(vm), Is.EqualTo("Halted"));
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotStartedError, "mgmt.vm.Kill", vm);
    }

    [Test]
    public async Task A_shutdown_climbs_its_ladder_times_out_and_leaves_the_vm_running()
    {
        await using var events = await Daemon.EventsAsync("subject=stubborn");
        await Daemon.OkAsync("mgmt.vm.Start", "stubborn");
        await events.UntilAsync(e => e.Name == "agent-state" && e["agent"] == "ready");
        var failure = await Daemon.RefusedAsync(ErrorCode.QubesVMShutdownTimeoutError, "mgmt.vm.Shutdown", "stubborn", "wait");
        Assert.That(failure.Fields, Is.EqualTo(new[] { "stubborn" }));
        var ladder = (await events.UntilAsync(e => e.Name == "domain-shutdown-failed")).Where(e => e.Name != "agent-state");
        Assert.That(ladder.Select(e => e.Name + (e["step"] is { } step ? " " + step : "")),
            Is.EqualTo(new[] { "domain-pre-shutdown", "domain-shutdown-step guest-agent", "domain-shutdown-step acpi", "domain-shutdown-failed" }));
        Assert.That(await Daemon.StateAsync("stubborn"), Is.EqualTo("Running"));

        await Daemon.OkAsync("mgmt.vm.Shutdown", "stubborn");
        var began = Environment.TickCount64;
        await Daemon.OkAsync("mgmt.vm.Kill", "stubborn");
        Assert.That(Environment.TickCount64 - began, Is.LessThan(900), "Kill queued behind the shutdown");
        Assert.That(await Daemon.StateAsync("stubborn"), Is.EqualTo("Halted"));
        await events.NextAsync("domain-shutdown");
    }

    [Test]
    public async Task A_vm_without_an_agent_gets_the_power_button()
    {
        await using var events = await Daemon.EventsAsync("subject=mute\nevent=domain-shutdown*");
        await Daemon.OkAsync("mgmt.vm.Start", "mute");
        await Daemon.OkAsync("mgmt.vm.Shutdown", "mute", "wait");
        Assert.That((await events.NextAsync("domain-shutdown-step"))["step"], Is.EqualTo("acpi"));
        await events.NextAsync("domain-shutdown");
    }

    [Test]
    public async Task Kill_cuts_off_a_start_under_way()
    {
        await using var events = await Daemon.EventsAsync("subject=glacial");
        var start = Daemon.CallAsync("mgmt.vm.Start", "glacial");
        await events.NextAsync("domain-pre-spawn");
        Assert.That(await Daemon.StateAsync("glacial"), Is.EqualTo("Transient"));
        await Daemon.OkAsync("mgmt.vm.Kill", "glacial");
        Assert.That(((Reply.Failure)await start).Type, Is.EqualTo("MgmtCancelledError"));
        await events.NextAsync("domain-start-failed");
        Assert.That(await Daemon.StateAsync("glacial"), Is.EqualTo("Halted"));
    }

    [Test]
    public async Task Starts_at_once_give_one_start()
    {
        await using var events = await Daemon.EventsAsync("subject=slow\nevent=domain-start\nevent=domain-shutdown");
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Daemon.OkAsync("mgmt.vm.Start", "slow")));
        await Daemon.OkAsync("mgmt.vm.Kill", "slow");
        Assert.That(await events.NamesUntilAsync("domain-shutdown"), Is.EqualTo(new[] { "domain-start", "domain-shutdown" }));
    }

    [Test]
    public async Task Kills_shutdowns_pauses_and_starts_at_once_leave_a_vm_that_works()
    {
        const string Vm = "unplaced";
        await using var events = await Daemon.EventsAsync($"subject={Vm}\nevent=domain-*");
        string[] calls = ["Start", "Kill", "Shutdown", "Pause", "Start", "Unpause", "Kill", "Shutdown"];
        for (var round = 0; round < 25; round++)
        {
            await Task.WhenAll(calls.Select(call => Daemon.CallAsync("mgmt.vm." + call, Vm)));
        }
        await Daemon.CallAsync("mgmt.vm.Kill", Vm);
        Assert.That(await Daemon.StateAsync(Vm), Is.EqualTo("Halted"));
        await Daemon.OkAsync("mgmt.vm.Start", Vm);
        Assert.That(await Daemon.StateAsync(Vm), Is.EqualTo("Running"));
        await Daemon.OkAsync("mgmt.vm.Kill", Vm);
        await Daemon.OkAsync("mgmt.vm.tag.Set", Vm, "end");
        var names = await events.NamesUntilAsync("domain-tag-add:end");
        Assert.That(names.Count(n => n == "domain-shutdown"), Is.EqualTo(names.Count(n => n == "domain-start")), string.Join(' ', names));
    }

    [Test]
    public async Task A_crash_is_told_before_the_stop()
    {
        await using var events = await Daemon.EventsAsync("subject=crashes");
        await Daemon.OkAsync("mgmt.vm.Start", "crashes");
        var end = await events.UntilAsync(e => e.Name == "domain-shutdown");
        var names = end.Select(e => e.Name).ToList();
        Assert.That(names.IndexOf("domain-crashed"), Is.GreaterThan(0).And.EqualTo(names.IndexOf("domain-stopped") - 1));
        Assert.That(end.Single(e => e.Name == "domain-crashed")["reason"], Is.EqualTo("signal-11"));
        Assert.That(await Daemon.StateAsync("crashes"), Is.EqualTo("Halted"));
    }

    [Test]
    public async Task A_vm_starts_after_the_one_that_gives_it_its_network()
    {
        await using var events = await Daemon.EventsAsync("event=domain-start");
        await Daemon.OkAsync("mgmt.vm.Start", "behind");
        Assert.That((await events.ReadAsync())!.Subject, Is.EqualTo("net"));
        Assert.That((await events.ReadAsync())!.Subject, Is.EqualTo("behind"));
        await Daemon.RefusedAsync(ErrorCode.QubesVMInUseError, "mgmt.vm.Shutdown", "net");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.Remove", "behind");
        await Daemon.OkAsync("mgmt.vm.Shutdown", "net", "force+wait");
        await Daemon.OkAsync("mgmt.vm.Kill", "behind");
    }

    [Test]
    public async Task A_paused_vm_shuts_down_only_by_force()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "net");
        await Daemon.OkAsync("mgmt.vm.Pause", "net");
        Assert.That(await Daemon.StateAsync("net"), Is.EqualTo("Paused"));
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotRunningError, "mgmt.vm.Pause", "net");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotRunningError, "mgmt.vm.Shutdown", "net");
        await Daemon.OkAsync("mgmt.vm.Unpause", "net");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotPausedError, "mgmt.vm.Unpause", "net");
        await Daemon.OkAsync("mgmt.vm.Pause", "net");
        await Daemon.OkAsync("mgmt.vm.Shutdown", "net", "force+wait");
        Assert.That(await Daemon.StateAsync("net"), Is.EqualTo("Halted"));
    }

    [Test]
    public async Task A_waiting_shutdown_is_listed_and_can_be_cancelled()
    {
        await Daemon.OkAsync("mgmt.vm.property.Set", "stubborn", "shutdown_timeout", "60");
        await Daemon.OkAsync("mgmt.vm.Start", "stubborn");
        await using var events = await Daemon.EventsAsync("subject=stubborn\nevent=domain-shutdown-step");
        var waiting = Daemon.CallAsync("mgmt.vm.Shutdown", "stubborn", "wait");
        await events.NextAsync("domain-shutdown-step");
        var line = (await Daemon.OkAsync("mgmt.call.List")).Split('\n').Single(l => l.Contains("mgmt.vm.Shutdown", StringComparison.Ordinal));
        Assert.That(line, Does.Contain(" source=dom0 target=stubborn age_ms="));
        var id = line.Split(' ')[0];
        Assert.That(await Daemon.OkAsync("mgmt.call.List", "dom0", id), Does.StartWith(id + " method=mgmt.vm.Shutdown "));
        await Daemon.OkAsync("mgmt.call.Cancel", "dom0", id);
        Assert.That(((Reply.Failure)await waiting).Type, Is.EqualTo("MgmtCancelledError"));
        Assert.That(await Daemon.OkAsync("mgmt.call.List"), Does.Not.Contain("mgmt.vm.Shutdown"));
        await Daemon.OkAsync("mgmt.vm.Kill", "stubborn");
        await Daemon.OkAsync("mgmt.vm.property.Reset", "stubborn", "shutdown_timeout");
    }

    [Test]
    public async Task A_vm_that_machined_does_not_take_runs_with_a_mark()
    {
        const string Vm = "unplaced";
        await using var events = await Daemon.EventsAsync($"subject={Vm}\nevent=fault-*\nevent=domain-shutdown");
        await Daemon.OkAsync("mgmt.vm.Start", Vm);
        Assert.That((await events.NextAsync("fault-set"))["fault"], Is.EqualTo("machined"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", Vm), Does.EndWith(" fault=machined"));
        Assert.That(await Daemon.OkAsync("admin.vm.CurrentState", Vm), Does.EndWith("power_state=Running"));
        await Daemon.OkAsync("mgmt.vm.Kill", Vm);
        Assert.That(await events.NamesUntilAsync("domain-shutdown"), Is.EqualTo(new[] { "fault-cleared", "domain-shutdown" }));
    }
}
