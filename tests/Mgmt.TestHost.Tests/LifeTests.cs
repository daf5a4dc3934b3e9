using Mgmt.Testing;
using Mgmt.Core;
using static Mgmt.TestHost.Tests.Hosts;

namespace Mgmt.TestHost.Tests;

public sealed class LifeTests
{
    private ManualTime _time = null!;

    [SetUp]
    public void SetUp() => _time = new ManualTime();

    [Test]
    public async Task A_vm_without_delays_is_up_with_its_agent_when_it_is_told_to_run()
    {
        var vm = await RunAsync(With(_time));
        Assert.That(Signals(vm), Is.EqualTo(new[] { Agent(AgentState.Connecting), Agent(AgentState.Ready) }));
        Assert.That((vm.InitialState, vm.Agent.State), Is.EqualTo((VmState.Paused, AgentState.Ready)));
    }

    [Test]
    public async Task The_agent_is_ready_after_its_delay()
    {
        var vm = await RunAsync(With(_time, delays: "\"agent\": 100"));
        _time.Advance(99);
        Assert.That(Signals(vm), Is.EqualTo(new[] { Agent(AgentState.Connecting) }));
        _time.Advance(1);
        Assert.That(Signals(vm), Is.EqualTo(new[] { Agent(AgentState.Ready) }));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_guest_that_is_asked_to_shut_down_powers_off_and_then_its_process_is_gone(bool byAgent)
    {
        var host = With(_time, delays: "\"shutdown\": 50");
        var vm = await RunAsync(host);
        Signals(vm);
        await (byAgent ? vm.Agent.SendAsync("guest-shutdown", null, None) : vm.PressPowerButtonAsync(None));
        _time.Advance(49);
        Assert.That(Signals(vm), Is.Empty);
        _time.Advance(1);
        Assert.That(Signals(vm), Is.EqualTo(new[] { new VmSignal.GuestShutdown("guest-shutdown"), Exited("guest-shutdown") }));
        Assert.That(vm.Signals.Completion.IsCompletedSuccessfully && vm.Exited.IsCompletedSuccessfully, Is.True);
        Assert.That(vm.Usage(), Is.Null);
        await Refused(ErrorCode.MgmtUnavailableError, vm.ContinueAsync(None));
        Assert.That(await host.Backend.AdoptAsync(Record(host), vm.Run, None), Is.Null);
    }

    [Test]
    public async Task A_guest_that_ignores_shutdown_goes_on_until_it_is_killed()
    {
        var vm = await RunAsync(With(_time, faults: "\"shutdown\": \"ignored\""));
        Signals(vm);
        await vm.Agent.SendAsync("guest-shutdown", null, None);
        await vm.PressPowerButtonAsync(None);
        _time.Advance(1_000_000);
        Assert.That(Signals(vm), Is.Empty);
        await vm.KillAsync(None);
        await vm.KillAsync(None);
        Assert.That(Signals(vm), Is.EqualTo(new[] { Exited("killed") }));
    }

    [Test]
    public async Task A_kill_takes_its_delay_and_returns_when_the_process_is_gone()
    {
        var vm = await RunAsync(With(_time, delays: "\"kill\": 30"));
        var kill = vm.KillAsync(None);
        _time.Advance(29);
        Assert.That((kill.IsCompleted, vm.Exited.IsCompleted), Is.EqualTo((false, false)));
        _time.Advance(1);
        await kill.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(await vm.Exited, Is.EqualTo(new VmExit(false, "killed")));
    }

    [Test]
    public async Task A_paused_guest_shuts_down_when_it_runs_again()
    {
        var vm = await RunAsync(With(_time));
        await vm.PauseAsync(None);
        await vm.PressPowerButtonAsync(None);
        _time.Advance(1000);
        Assert.That(vm.Exited.IsCompleted, Is.False);
        await vm.ContinueAsync(None);
        Assert.That((await vm.Exited).Reason, Is.EqualTo("guest-shutdown"));
    }

    [Test]
    public async Task A_vm_crashes_when_its_time_has_come()
    {
        var vm = await RunAsync(With(_time, faults: "\"crash-after-ms\": 70"));
        Signals(vm);
        _time.Advance(70);
        Assert.That(Signals(vm), Is.EqualTo(new[] { Exited("signal-11", crashed: true) }));
    }

    [Test]
    public async Task Launching_and_running_fail_with_their_messages()
    {
        var error = await Refused(ErrorCode.QubesException, With(_time, faults: "\"launch\": \"fails: 100% no\"").Backend.LaunchAsync(Launch(), None));
        Assert.That(error.Message, Is.EqualTo("100% no"));
        await Refused(ErrorCode.MgmtUnavailableError, RunAsync(With(_time, faults: "\"continue\": \"fails: no monitor\"")));
    }

    [Test]
    public async Task Launch_start_pause_and_adopt_take_their_delays()
    {
        var host = With(_time, delays: "\"launch\": 10, \"start\": 20, \"pause\": 30, \"adopt\": 40");
        var vm = await After(10, host.Backend.LaunchAsync(Launch(), None));
        await After(20, vm.ContinueAsync(None));
        await After(30, vm.PauseAsync(None));
        Assert.That(await After(40, host.Backend.AdoptAsync(Record(host), vm.Run, None)), Is.SameAs(vm));
    }

    [Test]
    public async Task After_a_restart_of_the_daemon_no_process_is_there()
    {
        var old = With(_time);
        var run = (await RunAsync(old)).Run;
        await old.Backend.DisposeAsync();
        var host = With(_time);
        Assert.That(await host.Backend.AdoptAsync(Record(host), run, None), Is.Null);
        await host.Backend.KillAsync(run, None);
    }

    [Test]
    public async Task A_name_has_one_process_and_strays_are_ended()
    {
        var host = With(_time);
        var vm = await RunAsync(host);
        await Refused(ErrorCode.QubesException, host.Backend.LaunchAsync(Launch(), None));
        await host.Backend.ReapStraysAsync([vm.Run], None);
        Assert.That(vm.Exited.IsCompleted, Is.False);
        await host.Backend.ReapStraysAsync([], None);
        Assert.That(vm.Exited.IsCompleted, Is.True);
        Assert.That((await RunAsync(host)).Run.Pid, Is.GreaterThan(vm.Run.Pid));
    }

    [Test]
    public async Task Processor_time_passes_only_while_it_runs()
    {
        var vm = await RunAsync(With(_time));
        _time.Advance(1000);
        await vm.PauseAsync(None);
        _time.Advance(1000);
        Assert.That(vm.Usage(), Is.EqualTo(new VmUsage(400 * 1024, TimeSpan.FromMilliseconds(100))));
    }

    [Test]
    public async Task A_vm_is_a_machine_until_it_is_gone()
    {
        var host = With(_time);
        var vm = await RunAsync(host);
        Assert.That((vm.Run.Machine, vm.Faults.Count), Is.EqualTo(("mgmt-1-vm", 0)));
        Assert.That(await host.Machines.OwnsAsync("mgmt-1-vm", Launch().Uuid, vm.Run.Pid, None), Is.True);
        await vm.KillAsync(None);
        Assert.That(await host.Machines.OwnsAsync("mgmt-1-vm", Launch().Uuid, vm.Run.Pid, None), Is.False);
        Assert.That(host.Machines.Changes.TryRead(out var change) ? change : null, Is.EqualTo(new MachineChange("mgmt-1-vm", true)));
        Assert.That(host.Machines.Changes.TryRead(out change) ? change : null, Is.EqualTo(new MachineChange("mgmt-1-vm", false)));
    }

    [Test]
    public async Task A_vm_that_the_registry_does_not_take_runs_degraded()
    {
        var vm = await RunAsync(With(_time, faults: "\"machined\": \"machined\""));
        Assert.That(vm.Run.Machine, Is.Empty);
        Assert.That(vm.Faults, Is.EqualTo(new[] { "machined" }));
    }

    private static VmRecord Record(TestHostDefinition host) => host.Seed.Vms.Single(vm => vm.Name.Value == "vm");

    /// <summary>The task ends after so many milliseconds and not one earlier.</summary>
    private async Task After(int milliseconds, Task task)
    {
        _time.Advance(milliseconds - 1);
        Assert.That(task.IsCompleted, Is.False);
        _time.Advance(1);
        await task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    private async Task<T> After<T>(int milliseconds, Task<T> task)
    {
        await After(milliseconds, (Task)task);
        return await task;
    }
}
