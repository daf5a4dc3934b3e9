using System.Diagnostics;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Disposables with the real QEMU: whoever ends them, they are gone, with all they had on disk.</summary>
[NonParallelizable]
internal sealed class QemuDisposableTests
{
    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        foreach (var name in new[] { "dvm", "brief" })
        {
            await _qemu.MakeVmAsync(name);
            await Daemon.OkAsync("mgmt.vm.property.Set", name, "template_for_dispvms", "True");
        }
        // The kernel's first program is the end.
        await Daemon.OkAsync("mgmt.vm.property.Set", "brief", "kernelopts", "rdinit=/bin/busybox -- poweroff -f");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [Test]
    public async Task One_that_is_shut_down_from_inside_is_gone()
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=domain-*");
        var name = await Daemon.OkAsync("mgmt.vm.CreateDisposable", "brief");
        await Daemon.OkAsync("mgmt.vm.Start", name);
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-delete");
        Assert.That(seen.Select(e => e.Name).SkipWhile(e => e != "domain-start"), Is.EqualTo(new[] { "domain-start", "domain-stopped", "domain-shutdown", "domain-pre-delete", "domain-delete" }));
        Assert.That(seen[^1]["vm"], Is.EqualTo(name));
        await NothingOfAsync(name);
    }

    [Test]
    public async Task One_that_the_next_daemon_adopts_is_gone_after_its_shutdown()
    {
        var name = await Daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        await _qemu.ReadyAsync(name);
        await Daemon.KillHardAsync();
        await Daemon.StartAgainAsync();
        await using var events = await Daemon.EventsAsync("since=now\nevent=domain-delete\nevent=agent-state");
        await _qemu.AgentAsync(name, events, "ready");
        await Daemon.OkAsync("mgmt.vm.Shutdown", name, "wait");
        await QemuDaemon.UntilAsync(events, e => e["vm"] == name);
        await NothingOfAsync(name);
    }

    [Test]
    public async Task One_that_ended_while_no_daemon_ran_is_gone()
    {
        var name = await Daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        await Daemon.OkAsync("mgmt.vm.Start", name);
        var (pid, cursor) = (_qemu.Pid(name), await Daemon.CursorAsync());
        await Daemon.KillHardAsync();
        TestSignal.Send(pid, TestSignal.Kill);
        await TestSignal.GoneAsync(pid);
        await Daemon.StartAgainAsync();
        await using var events = await Daemon.EventsAsync($"since={cursor}\nevent=domain-*");
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-delete");
        Assert.That(seen.Single(e => e.Name == "domain-shutdown")["reason"], Is.EqualTo("unseen"));
        await NothingOfAsync(name);
    }

    [Test]
    public async Task One_that_is_made_ahead_waits_booted_and_paused_outlives_the_daemon_and_answers_whoever_gets_it()
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=domain-*");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-delay", "0");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "1");
        var first = (await QemuDaemon.UntilAsync(events, e => e.Name == "domain-feature-set:preload-dispvm-completed"))[^1].Subject;
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", first), Does.Contain("power_state=Paused"));
        var pid = _qemu.Pid(first);
        await Daemon.KillHardAsync();
        await Daemon.StartAgainAsync();
        await using var adopted = await Daemon.EventsAsync("since=now\nevent=domain-*\nevent=agent-state");
        await Daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm", "preload");
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.Get", "dvm", "preload-dispvm"), Is.EqualTo(first), "one that is not adopted yet counts");
        for (var limit = Stopwatch.StartNew(); !(await Daemon.OkAsync("mgmt.vm.CurrentState", first)).Contains("power_state=Paused", StringComparison.Ordinal); await Task.Delay(10))
        {
            Assert.That(limit.Elapsed, Is.LessThan(DaemonProcess.Deadline));
        }
        // Refused after whoever adopts it has let go of it: one that somebody is busy with is passed over.
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotRunningError, "mgmt.vm.Pause", first);

        Assert.That(await Daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm"), Is.EqualTo(first));
        Assert.That(_qemu.Pid(first), Is.EqualTo(pid));
        await using (var agent = await Daemon.EventsAsync($"since=now\nsubject={first}\nevent=agent-state"))
        {
            await _qemu.AgentAsync(first, agent, "ready");
        }
        Assert.That(await Daemon.OkAsync("mgmt.vm.agent.OsInfo", first), Is.Not.Empty, "its guest goes on where it was");
        var second = (await QemuDaemon.UntilAsync(adopted, e => e.Name == "domain-feature-set:preload-dispvm-completed"))[^1].Subject;
        await Daemon.OkAsync("mgmt.vm.feature.Remove", "dvm", "preload-dispvm-max");
        await QemuDaemon.UntilAsync(adopted, e => e.Name == "domain-delete" && e["vm"] == second);
        await Daemon.OkAsync("mgmt.vm.Kill", first);
        await QemuDaemon.UntilAsync(adopted, e => e.Name == "domain-delete" && e["vm"] == first);
        await NothingOfAsync(first);
        await NothingOfAsync(second);
    }

    [Test]
    public async Task One_that_was_just_being_made_when_the_daemon_was_killed_is_gone_and_made_anew()
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=domain-*");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "1");
        var half = (await QemuDaemon.UntilAsync(events, e => e.Name == "domain-spawn"))[^1].Subject;
        var cursor = await Daemon.CursorAsync();
        await Daemon.KillHardAsync();
        await Daemon.StartAgainAsync();
        await using var after = await Daemon.EventsAsync($"since={cursor}\nevent=domain-*");
        await QemuDaemon.UntilAsync(after, e => e.Name == "domain-delete" && e["vm"] == half);
        var anew = (await QemuDaemon.UntilAsync(after, e => e.Name == "domain-feature-set:preload-dispvm-completed"))[^1].Subject;
        Assert.That(anew, Is.Not.EqualTo(half));
        await Daemon.OkAsync("mgmt.vm.feature.Remove", "dvm", "preload-dispvm-max");
        await QemuDaemon.UntilAsync(after, e => e.Name == "domain-delete" && e["vm"] == anew);
        await NothingOfAsync(half);
        await NothingOfAsync(anew);
    }

    private async Task NothingOfAsync(string name)
    {
        // Its files go right after it.
        for (var limit = Stopwatch.StartNew(); await UnfinishedAsync() > 0; await Task.Delay(10))
        {
            Assert.That(limit.Elapsed, Is.LessThan(DaemonProcess.Deadline));
        }
        var pools = Path.Combine(Daemon.StateDirectory, "pools");
        Assert.That(Directory.EnumerateFileSystemEntries(pools, "*", SearchOption.AllDirectories).Where(path => path.Contains(name, StringComparison.Ordinal)), Is.Empty);
        Assert.That(Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm")), Is.Empty);
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default"), Is.Empty);
    }

    private async Task<int> UnfinishedAsync()
    {
        using var status = JsonDocument.Parse(await Daemon.OkAsync("mgmt.Status"));
        return status.RootElement.GetProperty("storage").EnumerateArray().Sum(pool => pool.GetProperty("unfinished").GetInt32());
    }
}
