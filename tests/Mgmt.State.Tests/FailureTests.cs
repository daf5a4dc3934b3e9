using Mgmt.Core;
using Mgmt.State.Sqlite;

namespace Mgmt.State.Tests;

public sealed class FailureTests
{
    private TestStore _files = null!;
    private StateStore _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        _files = new TestStore();
        _store = await _files.OpenAsync(TestStore.Seed);
        await Change("before");
        // So that nothing needs to be read from the log whose descriptor is replaced.
        using var other = SqliteConnection.Open(_files.File);
        other.QueryInt64("PRAGMA wal_checkpoint(TRUNCATE)");
        Assert.That(new FileInfo(_files.File + "-wal").Length, Is.Zero);
    }

    [TearDown]
    public async Task TearDown()
    {
        await _store.DisposeAsync();
        _files.Dispose();
    }

    [Test]
    public async Task A_full_disk_refuses_the_change_and_the_store_goes_on_when_there_is_room_again()
    {
        var state = _store.Current;
        using (new FileFault(_files.File + "-wal", "/dev/full"))
        {
            var error = await Assert.ThatAsyncThrows<MgmtException>(Change("lost"));
            Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtNoSpaceError));
            Assert.That(_store.Current, Is.SameAs(state));
            Assert.That(_store.Journal.Newest.Sequence, Is.EqualTo(1));
        }
        Assert.That(_store.DeadReason, Is.Null);
        await Change("after");
        await AssertContents("after", "before");
    }

    [Test]
    public async Task A_change_that_is_too_big_for_the_disk_is_refused_alone_in_its_group()
    {
        await _store.ApplyAsync(_ => _store.LimitPages(60), CancellationToken.None);
        using var hold = new ManualResetEventSlim();
        var first = _store.ApplyAsync(_ => hold.Wait(TestStore.Deadline), CancellationToken.None);
        var small = Change("a");
        var big = _store.ApplyAsync(t => { t.SetProperty("big", new string('x', 1_000_000)); t.Emit(TestStore.Event(9)); }, CancellationToken.None);
        var other = Change("b");
        hold.Set();
        Assert.That((await Assert.ThatAsyncThrows<MgmtException>(big)).Code, Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        await Task.WhenAll(first, small, other);
        await AssertContents("a", "b", "before");
    }

    // SQLITE_IOERR_FSYNC and SQLITE_IOERR_WRITE.
    [TestCase("/dev/null", 1034, TestName = "After_a_failed_fsync_the_store_is_dead_and_reads_go_on")]
    [TestCase("/dev/zero", 778, TestName = "After_a_failed_write_the_store_is_dead_and_reads_go_on")]
    public async Task After_an_io_error_the_store_is_dead_and_reads_go_on(string instead, int resultCode)
    {
        var delivered = 0;
        using var subscription = _store.Journal.Subscribe(_ => delivered++);
        var state = _store.Current;
        using (new FileFault(_files.File + "-wal", instead))
        {
            var error = await Assert.ThatAsyncThrows<MgmtException>(Change("unknown"));
            Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        }
        Assert.That(_store.DeadReason, Does.Contain($"I/O error (SQLite {resultCode})"));
        var later = await Assert.ThatAsyncThrows<MgmtException>(Change("later"));
        Assert.Multiple(() =>
        {
            Assert.That(later.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
            Assert.That(later.Message, Does.Contain("restarted"));
            Assert.That(_store.Current, Is.SameAs(state));
            Assert.That(_store.Journal.Newest.Sequence, Is.EqualTo(1));
            Assert.That(delivered, Is.Zero);
        });
        await _store.DisposeAsync();
        _store = await _files.OpenAsync();
        await Change("after");
        await AssertContents("after", "before");
    }

    [Test]
    public async Task A_lock_of_another_program_refuses_changes_and_kills_nothing()
    {
        using (var other = SqliteConnection.Open(_files.File))
        {
            other.Execute("BEGIN IMMEDIATE");
            var error = await Assert.ThatAsyncThrows<MgmtException>(Change("lost"));
            Assert.That(error.Message, Does.Contain("locked by another program"));
        }
        await Change("after");
        await AssertContents("after", "before");
    }

    private Task Change(string name) => _store.ApplyAsync(t => { t.SetProperty(name, "1"); t.Emit(MgmtEvent.Global("changed", ("n", name))); }, CancellationToken.None);

    // In memory and, after a restart, on disk.
    private async Task AssertContents(params string[] names)
    {
        for (var round = 0; round < 2; round++)
        {
            Assert.That(_store.Current.Properties.Keys, Is.EqualTo(names.Append("default_netvm").Order(StringComparer.Ordinal)));
            Assert.That(_store.Journal.Read(0, 10).Select(entry => entry.Event["n"]), Is.EquivalentTo(names));
            await _store.DisposeAsync();
            _store = await _files.OpenAsync();
        }
    }
}
