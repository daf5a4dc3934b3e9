using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Agent;

/// <summary>Freezing by call goes the way of snapshots.</summary>
public sealed class FreezeCallTests
{
    private ManualTime _clock = null!;
    private FakeVm _vm = null!;
    private FreezingGuest _guest = null!;
    private Daemon _daemon = null!;

    [SetUp]
    public async Task Open()
    {
        _clock = new ManualTime();
        _vm = new FakeVm();
        _guest = new FreezingGuest(_vm, _clock);
        _daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(_vm).Object, clock: _clock);
        await _daemon.StartAsync("vault");
    }

    [TearDown]
    public async Task Close()
    {
        await _daemon.DisposeAsync();
        await _vm.DisposeAsync();
    }

    private DateTimeOffset? Mark => _daemon.Vm("vault").Status.Run?.FrozenAt;

    [Test]
    public async Task It_is_written_down_and_undone_by_the_caller()
    {
        DateTimeOffset? markAtFreeze = null;
        _guest.OnFreeze = () => markAtFreeze = Mark;
        Assert.That(await _daemon.TextAsync("mgmt.vm.agent.FsfreezeFreeze dom0 vault"), Is.EqualTo("1"));
        Assert.That((_guest.IsFrozen, markAtFreeze), Is.EqualTo((true, (DateTimeOffset?)_clock.GetUtcNow())));
        Assert.That(await _daemon.RefusalAsync("mgmt.vm.agent.FsfreezeFreeze dom0 vault"), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(await _daemon.TextAsync("mgmt.vm.agent.FsfreezeThaw dom0 vault"), Is.EqualTo("1"));
        await _daemon.UntilAsync(_ => Mark is null);
        Assert.That(_guest.IsFrozen, Is.False);
        // Nothing is frozen: the guest says so.
        Assert.That(await _daemon.TextAsync("mgmt.vm.agent.FsfreezeThaw dom0 vault"), Is.EqualTo("0"));
    }

    [Test]
    public async Task Whom_nobody_thaws_the_daemon_does()
    {
        await _daemon.TextAsync("mgmt.vm.agent.FsfreezeFreeze dom0 vault");
        var limit = Environment.TickCount64 + (long)Daemon.Deadline.TotalMilliseconds;
        while (Mark is not null)
        {
            Assert.That(Environment.TickCount64, Is.LessThan(limit));
            _clock.Advance(1000);
            await Task.Delay(1);
        }
        Assert.That(_guest.IsFrozen, Is.False);
        Assert.That(await _daemon.TextAsync("mgmt.vm.agent.FsfreezeThaw dom0 vault"), Is.EqualTo("0"));
    }

    [Test]
    public async Task What_a_snapshot_froze_no_caller_thaws()
    {
        var freeze = new GuestFreeze(_daemon.Services);
        var held = await freeze.FreezeAsync(_daemon.Services.Sessions.Find(Daemon.Name("vault"))!);
        Assert.That(await _daemon.RefusalAsync("mgmt.vm.agent.FsfreezeThaw dom0 vault"), Is.EqualTo(ErrorCode.MgmtBusyError));
        Assert.That(await _daemon.RefusalAsync("mgmt.vm.agent.FsfreezeFreezeList dom0 vault"), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(_guest.IsFrozen, Is.True);
        await held.ThawAsync();
    }

    [Test]
    public async Task A_guest_that_refuses_says_why_and_is_thawed_all_the_same()
    {
        _guest.Refusal = new MgmtException(ErrorCode.QubesException, "busy");
        Assert.That(await _daemon.RefusalAsync("mgmt.vm.agent.FsfreezeFreeze dom0 vault"), Is.EqualTo(ErrorCode.QubesException));
        await _daemon.UntilAsync(_ => Mark is null);
        Assert.That(_guest.Asked, Does.Contain("thaw"));
    }
}
