using System.Collections.Concurrent;
using Mgmt.Core;

namespace Mgmt.State.Tests;

public sealed class JournalTests
{
    private TestStore _files = null!;

    [SetUp]
    public void SetUp() => _files = new TestStore();

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task An_event_is_read_as_it_was_delivered_also_after_a_restart()
    {
        var delivered = new List<JournalEntry>();
        var happened = MgmtEvent.Of(TestStore.Name("work"), "property-set:netvm", ("name", "netvm"), ("newvalue", "sys-ñet 𝄞"), ("name", ""));
        await using (var store = await _files.OpenAsync())
        {
            using var subscription = store.Journal.Subscribe(delivered.AddRange);
            await store.ApplyAsync(t => t.Emit(happened), CancellationToken.None);
            AssertSame(store.Journal.Read(0, 10).Single());
        }
        await using var again = await _files.OpenAsync();
        AssertSame(again.Journal.Read(0, 10).Single());

        void AssertSame(JournalEntry entry) => Assert.Multiple(() =>
        {
            Assert.That(entry.Sequence, Is.EqualTo(delivered.Single().Sequence));
            Assert.That(entry.Time, Is.EqualTo(delivered.Single().Time));
            Assert.That((entry.Event.Subject, entry.Event.Name), Is.EqualTo((happened.Subject, happened.Name)));
            Assert.That(entry.Event.Pairs, Is.EqualTo(happened.Pairs));
        });
    }

    [Test]
    public async Task An_empty_journal_holds_the_place_before_its_first_event()
    {
        await using var store = await _files.OpenAsync();
        var journal = store.Journal;
        Assert.Multiple(() =>
        {
            Assert.That(journal.Newest, Is.EqualTo(new EventCursor(journal.Epoch, 0)));
            Assert.That(journal.Oldest, Is.EqualTo(new EventCursor(journal.Epoch, 1)));
            Assert.That(journal.Holds(new(journal.Epoch, 0)));
            Assert.That(journal.Holds(new(journal.Epoch, 1)), Is.False);
            Assert.That(journal.Holds(new(journal.Epoch + 1, 0)), Is.False);
            Assert.That(journal.Holds(new(journal.Epoch, ulong.MaxValue)), Is.False);
            Assert.That(journal.Read(0, 10), Is.Empty);
        });
    }

    [Test]
    public async Task Events_are_delivered_in_the_order_of_their_numbers_without_a_hole()
    {
        await using var store = await _files.OpenAsync();
        var delivered = new List<ulong>();
        using var subscription = store.Journal.Subscribe(entries => delivered.AddRange(entries.Select(entry => entry.Sequence)));
        await Task.WhenAll(Enumerable.Range(0, 500).Select(n => store.ApplyAsync(
            t =>
            {
                t.Emit(TestStore.Event(n));
                t.Emit(TestStore.Event(n));
                if (n % 7 == 0)
                {
                    throw new MgmtException(ErrorCode.QubesException, "no");
                }
            }, CancellationToken.None).ContinueWith(_ => { }, TaskScheduler.Default)));
        Assert.That(delivered, Is.EqualTo(Enumerable.Range(1, delivered.Count).Select(n => (ulong)n)));
        Assert.That(delivered, Has.Count.EqualTo(2 * (500 - 72)));
        Assert.That(store.Journal.Read(0, 10_000).Select(entry => entry.Sequence), Is.EqualTo(delivered));
    }

    [Test]
    public async Task Replay_and_live_events_join_without_gap_or_duplicate_while_changes_go_on()
    {
        await using var store = await _files.OpenAsync();
        const int Changes = 2_000, Subscribers = 20;
        var half = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var writing = Task.WhenAll(Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
        {
            for (var n = 0; n < Changes / 4; n++)
            {
                await store.ApplyAsync(t => t.Emit(TestStore.Event(n)), CancellationToken.None);
                if (n == 50)
                {
                    half.TrySetResult();
                }
            }
        })));
        await half.Task.WaitAsync(TestStore.Deadline);
        var subscribers = Enumerable.Range(0, Subscribers).Select(_ => Task.Run(() =>
        {
            var live = new ConcurrentQueue<ulong>();
            var subscription = store.Journal.Subscribe(entries => { foreach (var entry in entries) { live.Enqueue(entry.Sequence); } }, out var from);
            var replay = new List<ulong>();
            while (replay.Count == 0 || replay[^1] < from.Sequence)
            {
                replay.AddRange(store.Journal.Read(replay.LastOrDefault(), from.Sequence, 37).Select(entry => entry.Sequence));
            }
            return (subscription, replay, live);
        })).ToList();
        await writing.WaitAsync(TestStore.Deadline);
        foreach (var subscriber in subscribers)
        {
            var (subscription, replay, live) = await subscriber;
            subscription.Dispose();
            Assert.That(replay.Concat(live), Is.EqualTo(Enumerable.Range(1, Changes).Select(n => (ulong)n)));
        }
    }

    [Test]
    public async Task A_failing_receiver_harms_nobody()
    {
        await using var store = await _files.OpenAsync();
        var count = 0;
        using var bad = store.Journal.Subscribe(_ => throw new InvalidOperationException("bad receiver"));
        var good = store.Journal.Subscribe(entries => count += entries.Count);
        await store.ApplyAsync(t => t.Emit(TestStore.Event(1)), CancellationToken.None);
        good.Dispose();
        await store.ApplyAsync(t => t.Emit(TestStore.Event(2)), CancellationToken.None);
        Assert.That(count, Is.EqualTo(1));
        Assert.That(store.Journal.Newest.Sequence, Is.EqualTo(2));
    }

    [Test]
    public async Task More_events_than_the_journal_keeps_go_from_the_front()
    {
        await using (var store = await _files.OpenAsync(journalMaxEntries: 100))
        {
            for (var n = 1; n <= 250; n++)
            {
                await store.ApplyAsync(t => t.Emit(TestStore.Event(n)), CancellationToken.None);
                var held = store.Journal.Newest.Sequence - store.Journal.Oldest.Sequence + 1;
                // One group may come before the writer has pruned after the last one.
                Assert.That(held, Is.LessThanOrEqualTo(106UL));
            }
            // Runs after the pruning that followed the last event.
            await store.ApplyAsync(_ => { }, CancellationToken.None);
            var (journal, oldest) = (store.Journal, store.Journal.Oldest.Sequence);
            Assert.Multiple(() =>
            {
                Assert.That(journal.Newest.Sequence, Is.EqualTo(250));
                Assert.That(oldest, Is.InRange(146, 151));
                Assert.That(journal.Holds(new(journal.Epoch, oldest - 1)));
                Assert.That(journal.Holds(new(journal.Epoch, oldest - 2)), Is.False);
                Assert.That(journal.Holds(new(journal.Epoch, 250)));
                Assert.That(journal.Holds(new(journal.Epoch, 251)), Is.False);
                Assert.That(journal.Read(0, 1_000).Select(entry => entry.Sequence), Is.EqualTo(Enumerable.Range((int)oldest, 251 - (int)oldest).Select(n => (ulong)n)));
            });
        }
        await using var again = await _files.OpenAsync(journalMaxEntries: 100);
        Assert.That((again.Journal.Newest.Sequence, again.Journal.Oldest.Sequence), Is.EqualTo((250UL, again.Journal.Read(0, 1)[0].Sequence)));
    }

    [Test]
    public async Task Events_older_than_a_week_go_and_the_newest_stays_so_that_numbers_never_come_again()
    {
        var time = new ManualTime();
        await using (var store = await _files.OpenAsync(time: time))
        {
            await store.ApplyAsync(t => { t.Emit(TestStore.Event(1)); t.Emit(TestStore.Event(2)); }, CancellationToken.None);
            time.Now += TimeSpan.FromDays(6);
            await store.ApplyAsync(t => t.Emit(TestStore.Event(3)), CancellationToken.None);
            time.Now += TimeSpan.FromDays(2);
            await Settle(store);
            Assert.That(store.Journal.Read(0, 10).Select(entry => entry.Sequence), Is.EqualTo(new[] { 3UL }));
            Assert.That(store.Journal.Oldest.Sequence, Is.EqualTo(3));
            time.Now += TimeSpan.FromDays(30);
            await Settle(store);
            Assert.That(store.Journal.Oldest.Sequence, Is.EqualTo(3));
        }
        await using var again = await _files.OpenAsync(time: time);
        await again.ApplyAsync(t => t.Emit(TestStore.Event(4)), CancellationToken.None);
        Assert.That(again.Journal.Newest.Sequence, Is.EqualTo(4));
        await Settle(again);
    }

    [Test]
    public async Task A_week_of_old_events_is_removed_in_batches_when_the_store_is_opened()
    {
        var time = new ManualTime();
        await using (var store = await _files.OpenAsync(time: time))
        {
            await store.ApplyAsync(t => { for (var n = 0; n < 9_000; n++) { t.Emit(TestStore.Event(n)); } }, CancellationToken.None);
        }
        time.Now += TimeSpan.FromDays(8);
        await using var again = await _files.OpenAsync(time: time);
        var deadline = System.Diagnostics.Stopwatch.StartNew();
        while (again.Journal.Oldest.Sequence < 9_000 && deadline.Elapsed < TestStore.Deadline)
        {
            await again.ApplyAsync(_ => { }, CancellationToken.None);
        }
        await Settle(again);
        Assert.That(again.Journal.Read(0, 10_000).Select(entry => entry.Sequence), Is.EqualTo(new[] { 9_000UL }));
    }

    // The first may still be in the group before the pruning, the second comes after it.
    private static async Task Settle(StateStore store)
    {
        await store.ApplyAsync(_ => { }, CancellationToken.None);
        await store.ApplyAsync(_ => { }, CancellationToken.None);
    }
}
