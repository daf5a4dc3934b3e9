using Mgmt.Core;
using Mgmt.Testing;
using Moq;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class LiveSnapshotTests
{
    private static readonly VmName Vault = Daemon.Name("vault");

    private ManualTime _clock = null!;
    private FakeVm _vm = null!;
    private FreezingGuest _guest = null!;
    private SnapshotPools _pools = null!;
    private Daemon _daemon = null!;
    private LiveSnapshots _snapshots = null!;

    [SetUp]
    public async Task Open()
    {
        _clock = new ManualTime();
        _vm = new FakeVm();
        _guest = new FreezingGuest(_vm, _clock);
        _pools = new SnapshotPools();
        _daemon = await Daemon.OpenAsync(backend: FakeVm.Backend(_vm).Object, drivers: _pools.Drivers, clock: _clock);
        _snapshots = new LiveSnapshots(_daemon.Services);
    }

    [TearDown]
    public async Task Close()
    {
        await _daemon.DisposeAsync();
        await _vm.DisposeAsync();
    }

    private Task<Revision> TakeAsync(QuiesceWish wish, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default) =>
        _snapshots.TakeAsync(Vault, VolumeName.Private, "mine", pinned: true, wish, progress, cancellation);

    private DateTimeOffset? Mark => _daemon.Vm("vault").Status.Run?.FrozenAt;

    private List<string> Told => _daemon.Events("vault").FindAll(e => e.StartsWith("volume-", StringComparison.Ordinal) || e.StartsWith("fault-", StringComparison.Ordinal));

    /// <summary>Lets time pass until a task is done.</summary>
    private async Task<T> PassAsync<T>(Task<T> task)
    {
        await PassUntilAsync(() => task.IsCompleted);
        return await task;
    }

    private async Task PassUntilAsync(Func<bool> condition)
    {
        var limit = Environment.TickCount64 + (long)Daemon.Deadline.TotalMilliseconds;
        while (!condition())
        {
            Assert.That(Environment.TickCount64, Is.LessThan(limit), "time passes and nothing happens");
            _clock.Advance(100);
            await Task.Delay(1);
        }
    }

    [Test]
    public async Task Of_a_halted_vm_the_pool_makes_it()
    {
        var made = await TakeAsync(QuiesceWish.Yes);
        Assert.That(made.Traits, Is.EqualTo(new RevisionTraits("mine", true, RevisionCause.Snapshot, Quiesced.Yes)));
        Assert.That(Told, Is.EqualTo(new[] { "volume-snapshot volume=private revision=1 quiesced=yes" }));
        Assert.That(_pools.Opened, Is.Zero);
    }

    [Test]
    public async Task A_guest_is_marked_frozen_copied_and_thawed_before_the_copy_is_complete()
    {
        await _daemon.StartAsync("vault");
        var copy = new FakeCopy(held: true);
        DateTimeOffset? markAtFreeze = null;
        var frozenAtCopy = false;
        _guest.OnFreeze = () => markAtFreeze = Mark;
        _vm.OnCopy = _ =>
        {
            frozenAtCopy = _guest.IsFrozen;
            return Task.FromResult<IDiskCopy>(copy);
        };
        var progress = new Recorder();
        var asked = _clock.GetUtcNow();
        var taking = TakeAsync(QuiesceWish.Try, progress);
        await PassUntilAsync(() => _guest.Asked.Contains("thaw") && Mark is null);
        Assert.That((markAtFreeze, frozenAtCopy, _guest.IsFrozen, taking.IsCompleted), Is.EqualTo(((DateTimeOffset?)asked, true, false, false)));
        copy.Progress = new CopyProgress(1 << 20, 1L << 31);
        await PassUntilAsync(() => progress.Reports.Count > 1);
        copy.End(null);
        var made = await taking.WaitAsync(Daemon.Deadline);
        Assert.That(made.Traits.Quiesced, Is.EqualTo(Quiesced.Yes));
        Assert.That(Told, Is.EqualTo(new[] { "volume-snapshot volume=private revision=1 quiesced=yes" }));
        Assert.That(progress.Reports[0].DoneBytes, Is.Zero);
        Assert.That(progress.Reports, Has.Member(new CopyProgress(1 << 20, 1L << 31)));
        Assert.That(progress.Reports[^1].DoneBytes, Is.EqualTo(progress.Reports[^1].TotalBytes).And.GreaterThan(0));
        Assert.That((_pools.Opened, _pools.Closed, copy.IsDisposed), Is.EqualTo((1, 1, true)));
    }

    [TestCase(QuiesceWish.No, false, false)]
    [TestCase(QuiesceWish.Try, true, false)]
    [TestCase(QuiesceWish.Try, false, true)]
    public async Task A_guest_that_need_not_or_cannot_be_asked_is_not(QuiesceWish wish, bool noAgent, bool paused)
    {
        await _daemon.StartAsync("vault");
        _vm.State = noAgent ? AgentState.Lost : AgentState.Ready;
        if (paused)
        {
            await _daemon.Stopper.PauseAsync(Vault, CancellationToken.None);
        }
        Assert.That((await TakeAsync(wish)).Traits.Quiesced, Is.EqualTo(Quiesced.No));
        Assert.That(_guest.Asked, Is.Empty);
        if (wish == QuiesceWish.Try)
        {
            await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, TakeAsync(QuiesceWish.Yes));
            Assert.That((_pools.Opened, _pools.Made.Count), Is.EqualTo((1, 1)));
        }
    }

    [Test]
    public async Task A_freeze_whose_answer_is_lost_is_asked_about()
    {
        await _daemon.StartAsync("vault");
        _guest.Silent.Add("freeze");
        _guest.FreezesInSilence = true;
        Assert.That((await PassAsync(TakeAsync(QuiesceWish.Yes))).Traits.Quiesced, Is.EqualTo(Quiesced.Yes));
        Assert.That((_guest.IsFrozen, Mark), Is.EqualTo((false, (DateTimeOffset?)null)));
        Assert.That(_guest.Asked, Is.EqualTo(new[] { "freeze", "status", "thaw", "status" }));
    }

    [TestCase(QuiesceWish.Try)]
    [TestCase(QuiesceWish.Yes)]
    public async Task A_freeze_that_did_not_come_about_in_time_is_timed_out(QuiesceWish wish)
    {
        await _daemon.StartAsync("vault");
        _guest.Silent.Add("freeze");
        await AssertTimedOutAsync(wish);
        await PassUntilAsync(() => Mark is null);
        Assert.That(Told.Exists(e => e.StartsWith("fault", StringComparison.Ordinal)), Is.False);
    }

    [TestCase(QuiesceWish.Try)]
    [TestCase(QuiesceWish.Yes)]
    public async Task A_guest_that_answers_nothing_any_more_is_thawed_when_it_does(QuiesceWish wish)
    {
        await _daemon.StartAsync("vault");
        _guest.Silent.UnionWith(["freeze", "status", "thaw"]);
        _guest.FreezesInSilence = true;
        await AssertTimedOutAsync(wish);
        Assert.That(Mark, Is.Not.Null);
        await PassUntilAsync(() => _daemon.Vm("vault").Status.Faults.Contains("frozen"));
        // Meanwhile it is not frozen a second time.
        Assert.That((await PassAsync(TakeAsync(QuiesceWish.Try))).Traits.Quiesced, Is.EqualTo(Quiesced.No));
        await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, TakeAsync(QuiesceWish.Yes));
        _guest.Speak();
        await PassUntilAsync(() => Mark is null);
        Assert.That(_guest.IsFrozen, Is.False);
        Assert.That(Told.FindAll(e => e.StartsWith("fault", StringComparison.Ordinal)), Is.EqualTo(new[] { "fault-set fault=frozen", "fault-cleared fault=frozen" }));
    }

    private async Task AssertTimedOutAsync(QuiesceWish wish)
    {
        var taking = TakeAsync(wish);
        await PassUntilAsync(() => taking.IsCompleted);
        if (wish == QuiesceWish.Try)
        {
            Assert.That((await taking).Traits.Quiesced, Is.EqualTo(Quiesced.TimedOut));
            return;
        }
        await Daemon.RefusedAsync(ErrorCode.MgmtTimeoutError, taking);
        Assert.That((_pools.Opened, _pools.Closed, _pools.Made.Count), Is.EqualTo((1, 1, 0)));
    }

    [Test]
    public async Task A_refused_freeze_is_no_or_an_error_with_the_guests_words()
    {
        await _daemon.StartAsync("vault");
        _guest.Refusal = new MgmtException(ErrorCode.QubesException, "the guest agent refused: %s", "no file system");
        Assert.That((await PassAsync(TakeAsync(QuiesceWish.Try))).Traits.Quiesced, Is.EqualTo(Quiesced.No));
        var error = await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, PassAsync(TakeAsync(QuiesceWish.Yes)));
        Assert.That(error.Message, Does.Contain("no file system"));
        Assert.That(Mark, Is.Null);
    }

    [Test]
    public async Task The_watchdog_thaws_a_guest_whose_copy_does_not_begin()
    {
        await _daemon.StartAsync("vault");
        var begin = new TaskCompletionSource<IDiskCopy>(TaskCreationOptions.RunContinuationsAsynchronously);
        _vm.OnCopy = _ => begin.Task;
        var taking = TakeAsync(QuiesceWish.Try);
        await PassUntilAsync(() => _guest.Asked.Contains("thaw") && Mark is null);
        Assert.That(_guest.IsFrozen, Is.False);
        begin.SetResult(new FakeCopy());
        Assert.That((await taking.WaitAsync(Daemon.Deadline)).Traits.Quiesced, Is.EqualTo(Quiesced.TimedOut));
    }

    [Test]
    public async Task A_guest_that_somebody_else_thawed_is_not_called_quiesced()
    {
        await _daemon.StartAsync("vault");
        _vm.OnCopy = _ =>
        {
            _guest.IsFrozen = false;
            return Task.FromResult<IDiskCopy>(new FakeCopy());
        };
        Assert.That((await TakeAsync(QuiesceWish.Try)).Traits.Quiesced, Is.EqualTo(Quiesced.TimedOut));
        await Daemon.RefusedAsync(ErrorCode.MgmtTimeoutError, TakeAsync(QuiesceWish.Yes));
    }

    [Test]
    public async Task A_copy_that_cannot_begin_leaves_the_guest_thawed_and_no_target()
    {
        await _daemon.StartAsync("vault");
        _vm.OnCopy = _ => throw new MgmtException(ErrorCode.MgmtNoSpaceError, "full");
        await Daemon.RefusedAsync(ErrorCode.MgmtNoSpaceError, TakeAsync(QuiesceWish.Yes));
        Assert.That((_guest.IsFrozen, Mark, _pools.Closed, _pools.Made.Count), Is.EqualTo((false, (DateTimeOffset?)null, 1, 0)));
        Assert.That(Told, Is.Empty);
    }

    [Test]
    public async Task A_vm_that_is_killed_during_the_copy_makes_it_fail_and_nobody_waits_for_it()
    {
        await _daemon.StartAsync("vault");
        var copy = new FakeCopy(held: true);
        _vm.OnCopy = _ => Task.FromResult<IDiskCopy>(copy);
        var taking = TakeAsync(QuiesceWish.No);
        await PassUntilAsync(() => _pools.Opened == 1 && _daemon.Services.Gates.Count == 0);
        await _daemon.KillAsync("vault");
        copy.End(new MgmtException(ErrorCode.MgmtUnavailableError, "ended"));
        await Daemon.RefusedAsync(ErrorCode.MgmtUnavailableError, taking);
        Assert.That((_pools.Closed, _pools.Made.Count), Is.EqualTo((1, 0)));
        Assert.That(Told, Is.Empty);
    }

    [Test]
    public async Task A_snapshot_that_is_cancelled_ends_the_copy()
    {
        await _daemon.StartAsync("vault");
        var copy = new FakeCopy(held: true);
        _vm.OnCopy = _ => Task.FromResult<IDiskCopy>(copy);
        using var cancel = new CancellationTokenSource();
        var taking = TakeAsync(QuiesceWish.No, cancellation: cancel.Token);
        await PassUntilAsync(() => _pools.Opened == 1 && _daemon.Services.Gates.Count == 0);
        await cancel.CancelAsync();
        await Assert.ThatAsync(() => taking.WaitAsync(Daemon.Deadline), Throws.InstanceOf<OperationCanceledException>());
        Assert.That((copy.IsDisposed, _pools.Closed, _pools.Made.Count), Is.EqualTo((true, 1, 0)));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task After_a_restart_a_marked_guest_is_thawed(bool wasFrozen)
    {
        _guest.IsFrozen = wasFrozen;
        var run = _vm.Run with { FrozenAt = DateTimeOffset.UnixEpoch };
        _vm.Run = run;
        await using var daemon = await Daemon.OpenAsync(backend: Adopting().Object, drivers: _pools.Drivers, clock: _clock);
        await daemon.Store.ApplyAsync(t => t.PutVm(t.State.Get(Vault) with { Status = new() { State = VmState.NA, Run = run } }), CancellationToken.None);
        await await daemon.Adopter.AdoptAllAsync(CancellationToken.None);
        await PassUntilAsync(() => daemon.Vm("vault").Status.Run!.FrozenAt is null);
        Assert.That(_guest.IsFrozen, Is.False);
        Assert.That(daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Running));
    }

    private Mock<IVmBackend> Adopting()
    {
        var backend = FakeVm.Backend();
        backend.Setup(b => b.AdoptAsync(It.IsAny<VmRecord>(), It.IsAny<VmRun>(), It.IsAny<CancellationToken>())).ReturnsAsync(_vm);
        return backend;
    }

    [Test]
    public async Task A_volume_that_the_vm_does_not_have_is_not_found() =>
        await Daemon.RefusedAsync(ErrorCode.QubesVolumeNotFoundError, _snapshots.TakeAsync(VmName.Dom0, VolumeName.Root, null, false, QuiesceWish.No, null, CancellationToken.None));

    [Test]
    public async Task A_vm_stopped_by_a_full_disk_goes_on_when_told_and_not_while_it_is_full()
    {
        await _daemon.StartAsync("vault");
        _vm.Tell(new VmSignal.Stopped("no-space"));
        await _daemon.UntilAsync(s => s.Get(Vault).Status.State == VmState.Paused);
        _vm.OnContinue = async _ =>
        {
            _vm.Tell(new VmSignal.Stopped("no-space"));
            await PassUntilAsync(() => _daemon.Events("vault").FindAll(e => e == "domain-paused").Count == 2);
        };
        await _daemon.Stopper.UnpauseAsync(Vault, CancellationToken.None);
        Assert.That(_daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Paused));
        Assert.That(_daemon.Vm("vault").Status.Faults, Does.Contain("no-space"));
        _vm.OnContinue = _ => Task.CompletedTask;
        await _daemon.Stopper.UnpauseAsync(Vault, CancellationToken.None);
        Assert.That(_daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Running));
        Assert.That(_daemon.Vm("vault").Status.Faults, Is.Empty);
        Assert.That(_daemon.Events("vault").SkipWhile(e => e != "fault-set fault=no-space"), Is.EqualTo(new[]
        {
            "fault-set fault=no-space", "domain-paused", "domain-pre-unpaused", "domain-paused", "domain-pre-unpaused", "fault-cleared fault=no-space", "domain-unpaused",
        }));
    }

    private sealed class Recorder : IProgress<CopyProgress>
    {
        internal List<CopyProgress> Reports { get; } = [];

        public void Report(CopyProgress value) => Reports.Add(value);
    }
}
