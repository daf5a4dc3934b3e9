using Mgmt.Testing;
using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests.Lifecycle;

/// <summary>Operations that meet the end of a VM, and each other.</summary>
public sealed class RaceTests
{
    private static async Task<Daemon> RunningAsync(FakeVm vm, TimeProvider? clock = null)
    {
        var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(vm).Object, clock: clock);
        await daemon.StartAsync("vault");
        return daemon;
    }

    private static Task HaltedAsync(Daemon daemon) => daemon.UntilAsync(s => s.Get(Daemon.Name("vault")).Status.State == VmState.Halted);

    [Test]
    public async Task A_pause_that_a_crash_overtakes_does_not_leave_a_dead_vm_paused()
    {
        var vm = new FakeVm();
        await using var daemon = await RunningAsync(vm);
        vm.OnPause = async _ =>
        {
            vm.Exit(crashed: true);
            await HaltedAsync(daemon);
        };

        await Daemon.RefusedAsync(ErrorCode.QubesVMNotStartedError, daemon.Stopper.PauseAsync(Daemon.Name("vault"), CancellationToken.None));

        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
        Assert.That(daemon.Events("vault"), Has.None.EqualTo("domain-paused"));
    }

    [Test]
    public async Task A_shutdown_that_a_crash_overtakes_ends_halted()
    {
        var vm = new FakeVm();
        await using var daemon = await RunningAsync(vm);
        vm.OnButton = async _ =>
        {
            vm.Exit(crashed: true);
            await HaltedAsync(daemon);
        };

        await daemon.ShutdownAsync("vault");

        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
    }

    [Test]
    public async Task A_kill_while_the_end_is_put_away_puts_away_once()
    {
        var vm = new FakeVm();
        var pools = new HeldPools();
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(vm).Object, drivers: pools.Drivers);
        await daemon.StartAsync("vault");
        pools.Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        vm.Exit(crashed: false);
        await pools.Stopping.Task.WaitAsync(Daemon.Deadline);

        var kill = daemon.KillAsync("vault");
        Assert.That(kill.IsCompleted, Is.False);
        pools.Hold.SetResult();
        await kill;

        Assert.That(daemon.Events("vault").Count(e => e == "domain-shutdown"), Is.EqualTo(1));
        Assert.That(daemon.Events("vault").Count(e => e == "domain-stopped"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_shutdown_that_times_out_while_the_end_is_put_away_does_not_say_running()
    {
        var vm = new FakeVm();
        var clock = new ManualTime();
        var pools = new HeldPools();
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(vm).Object, drivers: pools.Drivers, clock: clock);
        await daemon.StartAsync("vault");
        var pressed = new TaskCompletionSource();
        vm.OnButton = _ =>
        {
            pressed.SetResult();
            return Task.CompletedTask;
        };
        pools.Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var shutdown = daemon.ShutdownAsync("vault");
        await pressed.Task.WaitAsync(Daemon.Deadline);
        vm.Exit(crashed: false);
        await pools.Stopping.Task.WaitAsync(Daemon.Deadline);

        await clock.AdvanceUntilAsync(TimeSpan.FromHours(2), () => false);
        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halting));
        pools.Hold.SetResult();
        await shutdown;

        Assert.That(daemon.Events("vault"), Has.None.StartsWith("domain-shutdown-failed"));
    }

    [Test]
    public async Task A_volume_that_fails_in_any_way_does_not_keep_a_vm_from_being_halted()
    {
        var vm = new FakeVm();
        var pools = new HeldPools();
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(vm).Object, drivers: pools.Drivers);
        await daemon.StartAsync("vault");
        pools.StopError = new IOException("not one of ours");

        await daemon.KillAsync("vault");

        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
    }

    [Test]
    public async Task A_process_that_ends_without_its_last_signal_is_put_away()
    {
        var vm = new FakeVm();
        await using var daemon = await RunningAsync(vm);

        vm.Vanish();
        await HaltedAsync(daemon);

        Assert.That(daemon.Events("vault"), Has.Member("domain-crashed reason=vanished"));
    }

    [Test]
    public async Task A_start_whose_process_cannot_be_ended_is_unknown_and_not_halted()
    {
        var vm = new FakeVm { OnContinue = _ => throw new MgmtException(ErrorCode.MgmtTimeoutError, "no answer"), OnKill = _ => throw new MgmtException(ErrorCode.MgmtTimeoutError, "still there") };
        var backend = FakeVm.Backend(vm);
        await using var daemon = await Daemon.OpenAsync(backend: backend.Object);

        await Daemon.RefusedAsync(ErrorCode.MgmtTimeoutError, daemon.StartAsync("vault"));

        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.NA));
        Assert.That(daemon.Vm("vault").Status.Faults, Does.Contain("unreachable"));
        Assert.That(vm.Disposals, Is.EqualTo(1));
        await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, daemon.StartAsync("vault"));
        await daemon.KillAsync("vault");
        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
        backend.Verify(b => b.KillAsync(It.IsAny<VmRun>(), It.IsAny<CancellationToken>()), Times.Once);
    }

    [Test]
    public async Task A_kill_cuts_off_a_start_and_leaves_it_halted()
    {
        var continued = new TaskCompletionSource();
        var vm = new FakeVm
        {
            OnContinue = async token =>
            {
                continued.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            },
        };
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(vm).Object);
        var start = daemon.StartAsync("vault");
        await continued.Task.WaitAsync(Daemon.Deadline);

        await daemon.KillAsync("vault");

        await Daemon.RefusedAsync(ErrorCode.MgmtCancelledError, start);
        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
        Assert.That(daemon.Events("vault")[^1], Does.StartWith("domain-start-failed reason="));
    }

    [Test]
    public async Task A_kill_of_a_vm_whose_netvm_is_starting_does_not_wait_for_that()
    {
        var continued = new TaskCompletionSource();
        var net = new FakeVm
        {
            OnContinue = async token =>
            {
                continued.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, token);
            },
        };
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(net).Object);
        var start = daemon.StartAsync("work");
        await continued.Task.WaitAsync(Daemon.Deadline);

        await daemon.KillAsync("work");

        await Daemon.RefusedAsync(ErrorCode.MgmtCancelledError, start);
        Assert.That(daemon.Vm("work").Status.State, Is.EqualTo(VmState.Halted));
        Assert.That(daemon.Vm("sys-net").Status.State, Is.EqualTo(VmState.Halted));
    }

    [Test]
    public async Task A_start_waits_for_a_netvm_that_somebody_else_is_starting()
    {
        var begun = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        var net = new FakeVm
        {
            OnContinue = _ =>
            {
                begun.SetResult();
                return goOn.Task;
            },
        };
        await using var daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(net, new FakeVm()).Object);
        var first = daemon.StartAsync("sys-net");
        await begun.Task.WaitAsync(Daemon.Deadline);
        var second = daemon.StartAsync("work");
        await daemon.UntilAsync(s => s.Get(Daemon.Name("work")).Status.State == VmState.Transient);
        Assert.That(daemon.Events("work"), Has.None.EqualTo("domain-pre-spawn"));
        goOn.SetResult();

        await Task.WhenAll(first, second);

        Assert.That(daemon.Vm("work").Status.State, Is.EqualTo(VmState.Running));
    }

    [Test]
    public async Task A_step_of_a_shutdown_that_hangs_or_breaks_is_followed_by_the_next()
    {
        var clock = new ManualTime();
        var vm = new FakeVm { OnSend = _ => throw new IOException("broken"), State = AgentState.Ready };
        await using var daemon = await RunningAsync(vm, clock);
        var pressed = new TaskCompletionSource();
        vm.OnButton = _ =>
        {
            pressed.SetResult();
            return new TaskCompletionSource().Task;
        };

        var shutdown = daemon.ShutdownAsync("vault");
        await pressed.Task.WaitAsync(Daemon.Deadline);
        await clock.AdvanceUntilAsync(TimeSpan.FromHours(100), () => shutdown.IsCompleted);

        await Daemon.RefusedAsync(ErrorCode.QubesVMShutdownTimeoutError, shutdown);
        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Running));
        Assert.That(daemon.Events("vault"), Has.Member("domain-shutdown-step step=acpi"));
        Assert.That(daemon.Events("vault")[^1], Is.EqualTo("domain-shutdown-failed reason=did not shut down within 60 s"));
    }

    [Test]
    public async Task Gates_are_gone_when_nobody_uses_them()
    {
        await using var daemon = await Daemon.OpenAsync();
        await Task.WhenAll(daemon.StartAsync("work"), daemon.StartAsync("vault"), daemon.StartAsync("work"));

        Assert.That(daemon.Services.Gates.Count, Is.Zero);
    }
}
