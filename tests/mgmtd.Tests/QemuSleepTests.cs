using Mgmt.Core;

namespace Mgmt.Daemon.Tests;

/// <summary>A real guest that its agent suspends to memory, and that QEMU wakes.</summary>
[NonParallelizable]
internal sealed class QemuSleepTests
{
    private const string Vm = "sleeper";

    [Test]
    public async Task A_guest_is_suspended_by_its_agent_and_answers_again_when_it_is_woken()
    {
        await using var qemu = await QemuDaemon.StartAsync();
        await qemu.MakeVmAsync(Vm);
        await qemu.ReadyAsync(Vm);
        await using var events = await qemu.Process.EventsAsync($"since=now\nsubject={Vm}");
        await qemu.Process.OkAsync("mgmt.vm.Suspend", Vm);
        await qemu.AgentAsync(Vm, events, "suspended");
        Assert.That(await qemu.Process.StateAsync(Vm), Is.EqualTo("Suspended"));
        await qemu.Process.RefusedAsync(ErrorCode.QubesVMNotRunningError, "mgmt.vm.Suspend", Vm);
        await qemu.Process.OkAsync("mgmt.vm.Resume", Vm);
        await QemuDaemon.UntilAsync(events, e => e.Name == "domain-resumed");
        Assert.That(await qemu.Process.StateAsync(Vm), Is.EqualTo("Running"));
        await qemu.AgentAsync(Vm, events, "ready");
        Assert.That(await qemu.Process.OkAsync("mgmt.vm.agent.OsInfo", Vm), Does.Contain("mgmt-demo"));
        await qemu.Process.RefusedAsync(ErrorCode.QubesVMNotSuspendedError, "mgmt.vm.Resume", Vm);
        // Not by Shutdown: a guest that was woken cannot power off (docs/lifecycle.md, "Suspending").
        await qemu.Process.OkAsync("mgmt.vm.Kill", Vm);
    }
}
