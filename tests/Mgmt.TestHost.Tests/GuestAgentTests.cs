using Mgmt.Testing;
using System.Text.Json;
using Mgmt.Core;
using static Mgmt.TestHost.Tests.Hosts;

namespace Mgmt.TestHost.Tests;

public sealed class GuestAgentTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private ManualTime _time = null!;

    [SetUp]
    public void SetUp() => _time = new ManualTime();

    [Test]
    public async Task It_answers_the_commands_it_knows()
    {
        var agent = (await RunAsync(With(_time))).Agent;
        var info = await agent.ExecuteAsync("guest-info", null, Second, None);
        Assert.Multiple(async () =>
        {
            Assert.That((await agent.ExecuteAsync("guest-ping", null, Second, None)).ValueKind, Is.EqualTo(JsonValueKind.Object));
            Assert.That((await agent.ExecuteAsync("guest-sync", """{"id":123}""", Second, None)).GetInt64(), Is.EqualTo(123));
            Assert.That((await agent.ExecuteAsync("guest-get-osinfo", null, Second, None)).GetProperty("id").GetString(), Is.EqualTo("debian"));
            Assert.That(info.GetProperty("supported_commands")[3].GetProperty("name").GetString(), Is.EqualTo("guest-get-osinfo"));
        });
    }

    [Test]
    public async Task It_refuses_what_it_does_not_know()
    {
        var agent = (await RunAsync(With(_time))).Agent;
        await Refused(ErrorCode.MgmtUnsupportedError, agent.ExecuteAsync("guest-exec", null, Second, None));
        await Refused(ErrorCode.MgmtUnsupportedError, agent.SendAsync("guest-suspend-ram", null, None));
        await Refused(ErrorCode.QubesException, agent.ExecuteAsync("guest-sync", "[", Second, None));
        await Refused(ErrorCode.QubesException, agent.ExecuteAsync("guest-sync", "{}", Second, None));
        await Refused(ErrorCode.QubesException, agent.SendAsync("guest-shutdown", """{"mode":"off"}""", None));
    }

    [Test]
    public async Task It_freezes_thaws_and_refuses_other_commands_in_between()
    {
        var agent = (await RunAsync(With(_time, delays: "\"freeze\": 50"))).Agent;
        var freeze = agent.ExecuteAsync("guest-fsfreeze-freeze", null, Second, None);
        Assert.That(freeze.IsCompleted, Is.False);
        _time.Advance(50);
        Assert.That((await freeze).GetInt32(), Is.EqualTo(1));
        Assert.That((await agent.ExecuteAsync("guest-fsfreeze-status", null, Second, None)).GetString(), Is.EqualTo("frozen"));
        await Refused(ErrorCode.MgmtUnsupportedError, agent.ExecuteAsync("guest-get-osinfo", null, Second, None));
        await agent.ExecuteAsync("guest-ping", null, Second, None);
        Assert.That((await agent.ExecuteAsync("guest-fsfreeze-thaw", null, Second, None)).GetInt32(), Is.EqualTo(1));
        Assert.That((await agent.ExecuteAsync("guest-fsfreeze-thaw", null, Second, None)).GetInt32(), Is.Zero);
        Assert.That((await agent.ExecuteAsync("guest-fsfreeze-status", null, Second, None)).GetString(), Is.EqualTo("thawed"));
        await agent.ExecuteAsync("guest-get-osinfo", null, Second, None);
    }

    [Test]
    public async Task An_absent_agent_is_unavailable()
    {
        var vm = await RunAsync(With(_time, faults: "\"agent\": \"absent\""));
        Assert.That(Signals(vm), Is.Empty);
        await Refused(ErrorCode.MgmtUnavailableError, vm.Agent.ExecuteAsync("guest-ping", null, Second, None));
        await Refused(ErrorCode.MgmtUnavailableError, vm.Agent.SendAsync("guest-shutdown", null, None));
    }

    [Test]
    public async Task A_silent_agent_times_out_and_takes_a_shutdown_without_doing_it()
    {
        var vm = await RunAsync(With(_time, faults: "\"agent\": \"silent\""));
        Assert.That(Signals(vm), Is.EqualTo(new[] { Agent(AgentState.Connecting) }));
        var ping = vm.Agent.ExecuteAsync("guest-ping", null, Second, None);
        _time.Advance(999);
        Assert.That(ping.IsCompleted, Is.False);
        _time.Advance(1);
        await Refused(ErrorCode.MgmtTimeoutError, ping);
        await vm.Agent.SendAsync("guest-shutdown", null, None);
        Assert.That(vm.Exited.IsCompleted, Is.False);
    }

    [Test]
    public async Task A_lost_agent_is_told_of_and_unavailable()
    {
        var vm = await RunAsync(With(_time, delays: "\"agent\": 10", faults: "\"lost-after-ms\": 20"));
        _time.Advance(30);
        Assert.That(Signals(vm), Is.EqualTo(new[] { Agent(AgentState.Connecting), Agent(AgentState.Ready), Agent(AgentState.Lost) }));
        await Refused(ErrorCode.MgmtUnavailableError, vm.Agent.ExecuteAsync("guest-ping", null, Second, None));
    }

    [Test]
    public async Task A_command_waits_for_an_agent_that_is_coming_up_and_for_a_paused_guest()
    {
        var vm = await RunAsync(With(_time, delays: "\"agent\": 10"));
        var early = vm.Agent.ExecuteAsync("guest-ping", null, Second, None);
        _time.Advance(10);
        await early.WaitAsync(TimeSpan.FromSeconds(10));
        await vm.PauseAsync(None);
        var paused = vm.Agent.ExecuteAsync("guest-ping", null, Second, None);
        Assert.That(paused.IsCompleted, Is.False);
        await vm.ContinueAsync(None);
        await paused.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Test]
    public async Task A_command_that_waits_when_the_process_goes_is_unavailable()
    {
        var vm = await RunAsync(With(_time, faults: "\"agent\": \"silent\""));
        var ping = vm.Agent.ExecuteAsync("guest-ping", null, Second, None);
        await vm.KillAsync(None);
        await Refused(ErrorCode.MgmtUnavailableError, ping);
    }

    [Test]
    public async Task The_seventeenth_waiting_command_is_busy()
    {
        var vm = await RunAsync(With(_time, faults: "\"agent\": \"silent\""));
        var waiting = Enumerable.Range(0, 16).Select(_ => vm.Agent.ExecuteAsync("guest-ping", null, Second, None)).ToArray();
        await Refused(ErrorCode.MgmtBusyError, vm.Agent.ExecuteAsync("guest-ping", null, Second, None));
        _time.Advance(1000);
        foreach (var ping in waiting)
        {
            await Refused(ErrorCode.MgmtTimeoutError, ping);
        }
    }

    [Test]
    public async Task A_reboot_is_a_reset_and_a_new_agent()
    {
        var vm = await RunAsync(With(_time));
        Signals(vm);
        await vm.Agent.SendAsync("guest-shutdown", """{"mode":"reboot"}""", None);
        Assert.That(Signals(vm), Is.EqualTo(new[] { new VmSignal.Reset(), Agent(AgentState.Connecting), Agent(AgentState.Ready) }));
    }
}
