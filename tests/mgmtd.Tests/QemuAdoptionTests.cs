using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>What a daemon that was killed leaves to the next one on the same directories, with real guests.</summary>
[NonParallelizable]
internal sealed class QemuAdoptionTests
{
    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        foreach (var vm in new[] { "steady", "other", "idle" })
        {
            await _qemu.MakeVmAsync(vm);
        }
        // Has nothing to boot: what matters of it is its process.
        await Daemon.OkAsync("mgmt.vm.property.Set", "idle", "kernel", "");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [SetUp]
    public async Task Serve()
    {
        if (Daemon.HasExited)
        {
            await Daemon.StartAgainAsync();
        }
    }

    [Test]
    public async Task A_running_vm_is_adopted_and_no_event_is_lost_or_doubled()
    {
        await _qemu.ReadyAsync("steady");
        var pid = _qemu.Pid("steady");
        var since = await Daemon.CursorAsync();
        await Daemon.OkAsync("mgmt.vm.tag.Set", "steady", "before");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "steady", "before", "1");
        await Daemon.KillHardAsync();
        Assert.That(TestSignal.StartTicks(pid), Is.Not.Null, "a VM outlives its daemon");
        await Daemon.StartAgainAsync();
        await using var events = await Daemon.EventsAsync($"since={since}\nsubject=steady");
        await _qemu.ReadyAsync("steady");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "steady", "after");
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-tag-add:after");
        // The agent was ready and is found again; systemd-machined is switched off here; nothing else is news.
        Assert.That(seen.Select(e => e.Name).Where(n => n is not ("agent-state" or "fault-set" or "fault-cleared")),
            Is.EqualTo(new[] { "domain-tag-add:before", "domain-feature-pre-set:before", "domain-feature-set:before", "domain-tag-add:after" }));
        Assert.That(seen.Last(e => e.Name == "agent-state")["agent"], Is.EqualTo("ready"));
        Assert.That(seen.Select(e => e["cursor"]), Is.Unique);
        Assert.That(await Daemon.StateAsync("steady"), Is.EqualTo("Running"));
        Assert.That(_qemu.Pid("steady"), Is.EqualTo(pid));
        Assert.That(await Daemon.OkAsync("mgmt.vm.agent.OsInfo", "steady"), Does.Contain("mgmt-demo"));
    }

    [Test]
    public async Task A_paused_vm_stays_paused_and_goes_on_when_told()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        await Daemon.OkAsync("mgmt.vm.Pause", "idle");
        // Asked to stop, not killed: that ends no VM either.
        await Daemon.RestartAsync();
        await StateAsync("idle", "Paused");
        await Daemon.OkAsync("mgmt.vm.Unpause", "idle");
        Assert.That(await Daemon.StateAsync("idle"), Is.EqualTo("Running"));
        await Daemon.OkAsync("mgmt.vm.Kill", "idle");
    }

    [Test]
    public async Task A_vm_that_died_while_no_daemon_ran_is_put_away_unseen()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        var since = await Daemon.CursorAsync();
        var pid = _qemu.Pid("idle");
        await Daemon.KillHardAsync();
        TestSignal.Send(pid, TestSignal.Kill);
        await TestSignal.GoneAsync(pid);
        await Daemon.StartAgainAsync();
        await using var events = await Daemon.EventsAsync($"since={since}\nsubject=idle\nevent=domain-*");
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-shutdown");
        Assert.That(seen.Select(e => e.Name), Is.EqualTo(new[] { "domain-stopped", "domain-shutdown" }));
        Assert.That(seen[^1]["reason"], Is.EqualTo("unseen"));
        Assert.That(await Daemon.StateAsync("idle"), Is.EqualTo("Halted"));
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        await Daemon.OkAsync("mgmt.vm.Kill", "idle");
    }

    [Test]
    public async Task A_vm_that_does_not_answer_is_unreachable_and_holds_up_nobody()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        await Daemon.OkAsync("mgmt.vm.Start", "other");
        var since = await Daemon.CursorAsync();
        var pid = _qemu.Pid("idle");
        await Daemon.KillHardAsync();
        TestSignal.Send(pid, TestSignal.Stop);
        await Daemon.StartAgainAsync();
        await StateAsync("other", "Running");
        await using (var events = await Daemon.EventsAsync($"since={since}\nsubject=idle\nevent=fault-set"))
        {
            await QemuDaemon.UntilAsync(events, e => e["fault"] == "unreachable");
        }
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", "idle"), Does.Contain("power_state=NA").And.Contain("fault=unreachable"));
        await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, "mgmt.vm.Start", "idle");
        await using (var events = await Daemon.EventsAsync("since=now\nsubject=idle\nevent=fault-cleared"))
        {
            TestSignal.Send(pid, TestSignal.Continue);
            await QemuDaemon.UntilAsync(events, e => e["fault"] == "unreachable");
        }
        Assert.That(await Daemon.StateAsync("idle"), Is.EqualTo("Running"));
        Assert.That(_qemu.Pid("idle"), Is.EqualTo(pid));
        await Daemon.OkAsync("mgmt.vm.Kill", "idle");
        await Daemon.OkAsync("mgmt.vm.Kill", "other");
    }

    [Test]
    public async Task Kill_ends_a_vm_that_does_not_answer()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        var pid = _qemu.Pid("idle");
        await Daemon.KillHardAsync();
        TestSignal.Send(pid, TestSignal.Stop);
        await Daemon.StartAgainAsync();
        Assert.That(await Daemon.StateAsync("idle"), Is.EqualTo("NA"));
        await Daemon.OkAsync("mgmt.vm.Kill", "idle");
        Assert.That(TestSignal.StartTicks(pid), Is.Null);
        Assert.That(await Daemon.StateAsync("idle"), Is.EqualTo("Halted"));
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        await Daemon.OkAsync("mgmt.vm.Kill", "idle");
    }

    [TestCase("domain-pre-start")]
    [TestCase("domain-pre-spawn")]
    [TestCase("domain-spawn")]
    public async Task A_start_that_a_kill_cuts_off_is_finished_or_undone(string at)
    {
        var since = await Daemon.CursorAsync();
        Task starting;
        await using (var events = await Daemon.EventsAsync("since=now\nsubject=idle"))
        {
            starting = Daemon.CallAsync("mgmt.vm.Start", "idle");
            await events.NextAsync(at);
        }
        await Daemon.KillHardAsync();
        try
        {
            await starting;
        }
        catch (MgmtException)
        {
            // Nobody was left to answer.
        }
        await Daemon.StartAgainAsync();
        await using var told = await Daemon.EventsAsync($"since={since}\nsubject=idle\nevent=domain-start*");
        var outcome = (await QemuDaemon.UntilAsync(told, e => e.Name is "domain-start" or "domain-start-failed"))[^1].Name;
        // The daemon that was killed may have got as far as that: then the VM is still to be adopted.
        await StateAsync("idle", outcome == "domain-start" ? "Running" : "Halted");
        Assert.That(await ProcessesAsync("idle"), Is.EqualTo(outcome == "domain-start" ? 1 : 0));
        await Daemon.OkAsync("mgmt.vm.Start", "idle");
        await Daemon.OkAsync("mgmt.vm.Kill", "idle");
        Assert.That(await ProcessesAsync("idle"), Is.Zero);
    }

    /// <summary>How many processes run the VM, whatever the daemon thinks of it.</summary>
    private async Task<int> ProcessesAsync(string vm)
    {
        var uuid = (await Daemon.OkAsync("mgmt.vm.property.Get", vm, "uuid")).Split(' ')[^1];
        return Directory.EnumerateDirectories("/proc").Count(directory => CommandLine(directory).Contains($"\0-uuid\0{uuid}\0", StringComparison.Ordinal));
    }

    private static string CommandLine(string directory)
    {
        try
        {
            return int.TryParse(Path.GetFileName(directory), out _) ? File.ReadAllText(Path.Combine(directory, "cmdline")) : "";
        }
        catch (IOException)
        {
            return "";
        }
    }

    /// <summary>Adoption goes on after the daemon serves.</summary>
    private async Task StateAsync(string vm, string state)
    {
        var until = Environment.TickCount64 + (long)DaemonProcess.Deadline.TotalMilliseconds;
        while (await Daemon.StateAsync(vm) is var now && now != state)
        {
            Assert.That(Environment.TickCount64, Is.LessThan(until), $"{vm} is {now}, not {state}");
            await Task.Delay(20);
        }
    }
}
