using Mgmt.Core;

namespace Mgmt.State.Tests;

public sealed class WriterTests
{
    private TestStore _files = null!;
    private StateStore _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        _files = new TestStore();
        _store = await _files.OpenAsync(TestStore.Seed);
    }

    [TearDown]
    public async Task TearDown()
    {
        await _store.DisposeAsync();
        _files.Dispose();
    }

    [Test]
    public async Task Changes_that_come_together_share_transactions_and_lose_nothing()
    {
        await Task.WhenAll(Enumerable.Range(0, 1_000).Select(_ => _store.ApplyAsync(
            t => t.SetProperty("count", (int.Parse(t.State.Properties.GetValueOrDefault("count", "0"), null) + 1).ToString(null, null)), CancellationToken.None)));
        Assert.That(_store.Current.Properties["count"], Is.EqualTo("1000"));
        Assert.That(_store.CommitCount, Is.LessThan(200));
    }

    [Test]
    public async Task A_delegate_that_throws_leaves_no_trace_and_harms_nobody_else()
    {
        using var hold = new ManualResetEventSlim();
        var first = _store.ApplyAsync(t => { hold.Wait(TestStore.Deadline); }, CancellationToken.None);
        var good = _store.ApplyAsync(t => { t.SetProperty("a", "1"); t.Emit(TestStore.Event(1)); }, CancellationToken.None);
        var bad = _store.ApplyAsync(t =>
        {
            t.SetProperty("b", "1");
            t.RemoveVm(TestStore.Name("work"));
            t.Emit(TestStore.Event(2));
            throw new MgmtException(ErrorCode.QubesVMInUseError, "in use");
        }, CancellationToken.None);
        var last = _store.ApplyAsync(t => { t.SetProperty("c", t.State.Properties.ContainsKey("b") ? "saw b" : "clean"); t.Emit(TestStore.Event(3)); }, CancellationToken.None);
        hold.Set();
        Assert.That((await Assert.ThatAsyncThrows<MgmtException>(bad)).Code, Is.EqualTo(ErrorCode.QubesVMInUseError));
        await Task.WhenAll(first, good, last);
        Assert.Multiple(() =>
        {
            Assert.That(_store.Current.Properties.Keys, Is.EqualTo(new[] { "a", "c", "default_netvm" }));
            Assert.That(_store.Current.Properties["c"], Is.EqualTo("clean"));
            Assert.That(_store.Current.Find(TestStore.Name("work")), Is.Not.Null);
            Assert.That(_store.Journal.Read(0, 10).Select(entry => $"{entry.Sequence}:{entry.Event["n"]}"), Is.EqualTo(new[] { "1:1", "2:3" }));
        });
    }

    [Test]
    public async Task What_is_not_kept_on_disk_costs_no_transaction()
    {
        var work = _store.Current.Get(TestStore.Name("work"));
        await _store.ApplyAsync(t => t.PutVm(work with { Status = work.Status with { State = VmState.Halting, Agent = AgentState.Ready, AgentSince = t.Now, Faults = ["x"] } }), CancellationToken.None);
        await _store.ApplyAsync(t => t.PutVm(t.State.Get(work.Name)), CancellationToken.None);
        Assert.That(_store.CommitCount, Is.Zero);
        Assert.That(_store.Current.Get(work.Name).Status.State, Is.EqualTo(VmState.Halting));
        await _store.ApplyAsync(t => t.PutVm(work with { Status = work.Status with { Run = TestStore.Run(1) } }), CancellationToken.None);
        Assert.That(_store.CommitCount, Is.EqualTo(1));
    }

    [Test]
    public async Task The_state_is_published_and_the_events_delivered_before_the_caller_goes_on()
    {
        var seen = "";
        using var subscription = _store.Journal.Subscribe(entries => seen += $"{entries.Count} with {_store.Current.Properties["a"]} at {_store.Journal.Newest.Sequence}");
        var result = await _store.ApplyAsync(t => { t.SetProperty("a", "new"); t.Emit(TestStore.Event(1)); t.Emit(TestStore.Event(2)); return t.State; }, CancellationToken.None);
        Assert.That(seen, Is.EqualTo("2 with new at 2"));
        Assert.That(_store.Current, Is.SameAs(result));
    }

    [Test]
    public async Task A_second_vm_with_a_qid_or_uuid_is_refused_alone()
    {
        var work = _store.Current.Get(TestStore.Name("work"));
        var sameQid = _store.ApplyAsync(t => { t.PutVm(TestStore.Vm("other", work.Qid)); t.Emit(TestStore.Event(1)); }, CancellationToken.None);
        var sameUuid = _store.ApplyAsync(t => t.PutVm(work with { Name = TestStore.Name("other"), Qid = 50 }), CancellationToken.None);
        var good = _store.ApplyAsync(t => t.PutVm(TestStore.Vm("good", 51)), CancellationToken.None);
        Assert.That((await Assert.ThatAsyncThrows<StateStoreException>(sameQid)).ResultCode, Is.EqualTo(2067));
        await Assert.ThatAsyncThrows<InvalidOperationException>(sameUuid);
        await good;
        Assert.That(_store.Current.Vms.Keys.Select(name => name.Value), Is.EqualTo(new[] { "dom0", "good", "work" }));
        Assert.That(_store.Journal.Newest.Sequence, Is.Zero);
        Assert.That(_store.DeadReason, Is.Null);
    }

    [Test]
    public async Task A_change_given_up_in_the_queue_never_happens_and_one_picked_up_always_does()
    {
        using var hold = new ManualResetEventSlim();
        using var cancel = new CancellationTokenSource();
        var running = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var picked = _store.ApplyAsync(t => { running.SetResult(); hold.Wait(TestStore.Deadline); t.SetProperty("picked", "1"); }, cancel.Token);
        await running.Task.WaitAsync(TestStore.Deadline);
        var queued = _store.ApplyAsync(t => t.SetProperty("queued", "1"), cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThatAsyncThrows<OperationCanceledException>(queued);
        hold.Set();
        await picked;
        await _store.ApplyAsync(_ => { }, CancellationToken.None);
        Assert.That(_store.Current.Properties.Keys, Is.EqualTo(new[] { "default_netvm", "picked" }));
    }

    [Test]
    public async Task Closing_applies_what_is_queued_and_refuses_what_comes_later()
    {
        var changes = Enumerable.Range(0, 100).Select(n => _store.ApplyAsync(t => t.SetProperty($"p{n}", "1"), CancellationToken.None)).ToList();
        await _store.DisposeAsync();
        await Task.WhenAll(changes);
        var late = await Assert.ThatAsyncThrows<MgmtException>(_store.ApplyAsync(t => t.SetProperty("late", "1"), CancellationToken.None));
        Assert.That(late.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await using var again = await _files.OpenAsync();
        Assert.That(again.Current.Properties, Has.Count.EqualTo(101));
    }

    [Test]
    public async Task A_transaction_is_over_when_its_delegate_is()
    {
        var kept = await _store.ApplyAsync(t => t, CancellationToken.None);
        Assert.Throws<InvalidOperationException>(() => kept.SetProperty("late", "1"));
        Assert.Throws<InvalidOperationException>(() => _ = kept.State);
    }
}
