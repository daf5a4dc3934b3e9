using System.Text.Json;
using System.Text.RegularExpressions;
using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>The life of a VM with the real QEMU and the real guest agent in the real guest; one guest for as many tests as can share it.</summary>
[NonParallelizable]
internal sealed partial class QemuLifeTests
{
    private const string Vm = "work";
    private const int UidBase = 1_900_000_000;
    private static readonly string[] EndNames = ["domain-stopped", "property-reset:xid", "property-reset:stubdom_xid", "property-reset:start_time", "domain-shutdown"];

    private QemuDaemon _qemu = null!;
    private List<MgmtEvent> _start = [];

    private DaemonProcess Daemon => _qemu.Process;

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        await _qemu.MakeVmAsync(Vm);
        await _qemu.MakeVmAsync("brief");
        await using var events = await Daemon.EventsAsync("since=now\nsubject=" + Vm);
        await Daemon.OkAsync("mgmt.vm.Start", Vm);
        Assert.That(await Daemon.StateAsync(Vm), Is.EqualTo("Running"));
        _start = await QemuDaemon.UntilAsync(events, e => e["agent"] == "ready");
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
    public void A_start_tells_its_events_in_order_and_then_what_the_agent_does()
    {
        Assert.That(_start.Select(e => e.Name), Is.EqualTo(new[]
        {
            "domain-pre-start", "domain-pre-spawn", "property-reset:xid", "property-reset:stubdom_xid", "property-reset:start_time", "domain-spawn", "domain-pre-unpaused", "domain-unpaused", "domain-start",
            // systemd-machined is switched off here.
            "fault-set", "agent-state", "agent-state",
        }));
        Assert.That(_start[0]["mem_required"], Is.EqualTo("160"));
        Assert.That(_start[8]["start_guid"], Is.EqualTo(_start[0]["start_guid"]));
        Assert.That(_start[9]["fault"], Is.EqualTo("machined"));
        Assert.That(_start[10]["agent"], Is.EqualTo("connecting"));
    }

    [Test]
    public void A_template_made_of_an_image_keeps_no_revision_of_the_empty_disk()
    {
        var root = Path.Combine(Daemon.StateDirectory, "pools", "default", "vm-templates", "base");
        var files = Directory.EnumerateFiles(root, "root.*").Select(Path.GetFileName).ToList();
        Assert.That(files, Does.Contain("root.qcow2").And.None.Contains(".rev-"));
    }

    [Test]
    public async Task The_guest_says_through_its_agent_which_system_it_is()
    {
        await _qemu.ReadyAsync(Vm);
        using var system = JsonDocument.Parse(await Daemon.OkAsync("mgmt.vm.agent.OsInfo", Vm));
        Assert.That(system.RootElement.GetProperty("id").GetString(), Is.EqualTo("mgmt-demo"));
        Assert.That(system.RootElement.GetProperty("kernel-release").GetString(), Is.Not.Empty);
        using var agent = JsonDocument.Parse(await Daemon.OkAsync("mgmt.vm.agent.Info", Vm));
        Assert.That(agent.RootElement.GetProperty("version").GetString(), Is.Not.Empty);
    }

    [Test]
    public async Task The_current_state_has_memory_processor_time_and_agent()
    {
        await _qemu.ReadyAsync(Vm);
        var state = await Daemon.OkAsync("mgmt.vm.CurrentState", Vm);
        var said = StateLine().Match(state);
        Assert.That(said.Success, state);
        Assert.That(long.Parse(said.Groups["cpu"].Value), Is.GreaterThan(100));
        Assert.That(await Daemon.OkAsync("admin.vm.CurrentState", Vm), Does.Match("^mem=163840 mem_static_max=163840 cputime=[0-9]+ power_state=Running$"));
    }

    [Test]
    public async Task Memory_and_processors_reach_qemu()
    {
        await _qemu.ReadyAsync(Vm);
        var words = _qemu.CommandLine(Vm);
        Assert.That(words[Array.IndexOf(words, "-m") + 1], Is.EqualTo("160"));
        Assert.That(words[Array.IndexOf(words, "-smp") + 1], Is.EqualTo("1"));
        Assert.That(words[Array.IndexOf(words, "-name") + 1], Is.EqualTo("guest=work"));
    }

    [Test]
    public async Task Qemu_has_a_user_of_its_own_in_a_sandbox_and_no_path_to_a_disk()
    {
        await _qemu.ReadyAsync(Vm);
        var qid = await Daemon.OkAsync("mgmt.vm.property.Get", Vm, "qid");
        var uid = UidBase + int.Parse(qid.Split(' ')[^1]);
        var status = File.ReadAllLines($"/proc/{_qemu.Pid(Vm)}/status").Select(line => line.Split(":\t")).Where(p => p.Length == 2).ToDictionary(p => p[0], p => p[1]);
        Assert.That(status["Uid"], Is.EqualTo($"{uid}\t{uid}\t{uid}\t{uid}"));
        Assert.That(status["Gid"], Is.EqualTo($"{uid}\t{uid}\t{uid}\t{uid}"));
        Assert.That(status["Groups"].Trim(), Is.Empty);
        Assert.That(status["CapEff"], Is.EqualTo(new string('0', 16)));
        Assert.That(status["CapBnd"], Is.EqualTo(new string('0', 16)));
        Assert.That(status["NoNewPrivs"], Is.EqualTo("1"));
        Assert.That(status["Seccomp"], Is.EqualTo("2"));
        Assert.That(_qemu.CommandLine(Vm), Has.None.Contains(Daemon.StateDirectory).And.None.Contains(Daemon.RunDirectory));
    }

    [Test]
    public async Task A_pause_stops_the_guest_and_leaves_other_calls_alone()
    {
        await _qemu.ReadyAsync(Vm);
        await using var events = await Daemon.EventsAsync("since=now\nevent=domain-*\nsubject=" + Vm);
        await Daemon.OkAsync("mgmt.vm.Pause", Vm);
        Assert.That(await Daemon.StateAsync(Vm), Is.EqualTo("Paused"));
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotRunningError, "mgmt.vm.agent.OsInfo", Vm);
        var began = Environment.TickCount64;
        for (var i = 0; i < 20; i++)
        {
            await Daemon.OkAsync("mgmt.vm.List");
            await Daemon.OkAsync("mgmt.vm.CurrentState", Vm);
        }
        Assert.That(Environment.TickCount64 - began, Is.LessThan(5000));
        await Daemon.OkAsync("mgmt.vm.Unpause", Vm);
        Assert.That(await Daemon.StateAsync(Vm), Is.EqualTo("Running"));
        Assert.That(await Daemon.CallAsync("mgmt.vm.agent.OsInfo", Vm), Is.InstanceOf<Reply.Ok>(), "it goes on where it was");
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-unpaused");
        Assert.That(seen.Select(e => e.Name), Is.EqualTo(new[] { "domain-pre-paused", "domain-paused", "domain-pre-unpaused", "domain-unpaused" }));
    }

    [Test]
    public async Task An_agent_that_does_not_answer_costs_its_caller_time_and_nobody_else()
    {
        await _qemu.ReadyAsync(Vm);
        await _qemu.MakeVmAsync("mute");
        // No kernel and no system on the root of its own: the firmware finds nothing to run.
        await Daemon.OkAsync("mgmt.vm.property.Set", "mute", "kernel", "");
        await Daemon.OkAsync("mgmt.vm.Start", "mute");
        await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, "mgmt.vm.agent.OsInfo", "mute");
        await using var events = await Daemon.EventsAsync("since=now\nevent=agent-state\nsubject=" + Vm);
        // For longer than a call waits for it.
        await Daemon.OkAsync("mgmt.vm.agent.Exec", Vm, payload: """{"path":"/bin/sh","arg":["-c","sleep 1; kill -STOP $PPID; sleep 14; kill -CONT $PPID"]}""");
        var asked = await UnansweredAsync();
        await Daemon.OkAsync("mgmt.vm.Pause", "mute");
        await Daemon.OkAsync("mgmt.vm.Unpause", "mute");
        await Daemon.OkAsync("mgmt.vm.Kill", "mute");
        Assert.That(asked.IsCompleted, Is.False);
        var refused = await asked;
        Assert.That((refused as Reply.Failure)?.Type, Is.EqualTo("MgmtTimeoutError").Or.EqualTo("MgmtUnavailableError"));
        await QemuDaemon.UntilAsync(events, e => e.Name == "agent-state" && e["agent"] == "ready");
    }

    /// <summary>Asks until an answer does not come at once.</summary>
    private async Task<Task<Reply>> UnansweredAsync()
    {
        while (true)
        {
            var asked = Daemon.CallAsync("mgmt.vm.agent.OsInfo", Vm);
            if (await Task.WhenAny(asked, Task.Delay(2000)) != asked)
            {
                return asked;
            }
        }
    }

    [Test]
    public async Task A_shutdown_goes_through_the_guest_agent_and_leaves_the_template_as_it_was()
    {
        await _qemu.ReadyAsync(Vm);
        await using var events = await Daemon.EventsAsync("since=now\nsubject=" + Vm);
        await Daemon.OkAsync("mgmt.vm.Shutdown", Vm, "wait");
        Assert.That(await Daemon.StateAsync(Vm), Is.EqualTo("Halted"));
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-shutdown");
        Assert.That(seen.Where(e => e.Name is not ("agent-state" or "fault-cleared")).Select(e => e.Name),
            Is.EqualTo((string[])["domain-pre-shutdown", "domain-shutdown-step", .. EndNames]));
        Assert.That(seen.Single(e => e.Name == "domain-shutdown-step")["step"], Is.EqualTo("guest-agent"));
        Assert.That(seen[^1]["reason"], Is.Null);
        Assert.That(Directory.EnumerateFileSystemEntries(Path.Combine(Daemon.RunDirectory, "vm")), Has.None.EndsWith("-work"));
        var root = Path.Combine(Daemon.StateDirectory, "pools", "default", "vm-templates", "base", "root.qcow2");
        GuestFiles.Run("qemu-img", "compare", "-q", root, GuestFiles.RootImage);
    }

    [Test]
    public async Task A_killed_vm_is_no_crash()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "brief");
        await using var events = await Daemon.EventsAsync("since=now\nsubject=brief");
        var pid = _qemu.Pid("brief");
        await Daemon.OkAsync("mgmt.vm.Kill", "brief");
        Assert.That(await Daemon.StateAsync("brief"), Is.EqualTo("Halted"));
        Assert.That(TestSignal.StartTicks(pid), Is.Null);
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-shutdown");
        Assert.That(seen.Where(e => e.Name is not ("agent-state" or "fault-cleared" or "fault-set")).Select(e => e.Name), Is.EqualTo(EndNames));
    }

    [Test]
    public async Task A_qemu_that_dies_is_a_crash_and_the_vm_can_start_again()
    {
        await Daemon.OkAsync("mgmt.vm.Start", "brief");
        await using var events = await Daemon.EventsAsync("since=now\nsubject=brief");
        TestSignal.Send(_qemu.Pid("brief"), TestSignal.Kill);
        var seen = await QemuDaemon.UntilAsync(events, e => e.Name == "domain-shutdown");
        Assert.That(seen.Where(e => e.Name is not ("agent-state" or "fault-cleared" or "fault-set")).Select(e => e.Name), Is.EqualTo((string[])["domain-crashed", .. EndNames]));
        Assert.That(seen.Single(e => e.Name == "domain-crashed")["reason"], Does.Contain("SIGKILL").IgnoreCase.Or.Contain("9"));
        Assert.That(await Daemon.StateAsync("brief"), Is.EqualTo("Halted"));
        await Daemon.OkAsync("mgmt.vm.Start", "brief");
        Assert.That(await Daemon.StateAsync("brief"), Is.EqualTo("Running"));
    }

    [GeneratedRegex("^mem=163840 mem_static_max=163840 cputime=(?<cpu>[0-9]+) power_state=Running agent=ready agent_age_ms=[0-9]+ fault=machined$")]
    private static partial Regex StateLine();
}
