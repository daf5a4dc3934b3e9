using Mgmt.Core;
using Mgmt.State.Sqlite;

namespace Mgmt.State.Tests;

public sealed class OpeningTests
{
    private TestStore _files = null!;

    [SetUp]
    public void SetUp() => _files = new TestStore();

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task A_second_mgmtd_is_refused_with_the_first_ones_pid()
    {
        await using (await _files.OpenAsync())
        {
            var error = await Assert.ThatAsyncThrows<MgmtException>(_files.OpenAsync());
            Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
            Assert.That(error.Message, Is.EqualTo($"state directory {_files.Directory} is in use by another mgmtd (pid {Environment.ProcessId})"));
        }
        await using var next = await _files.OpenAsync();
        Assert.That(next.IsNew, Is.False);
    }

    [Test]
    public async Task A_store_of_a_newer_mgmtd_is_refused_and_left_alone()
    {
        await using (await _files.OpenAsync(TestStore.Seed))
        {
        }
        Sql("PRAGMA user_version = 99");
        var before = await File.ReadAllBytesAsync(_files.File);
        var error = await Assert.ThatAsyncThrows<MgmtException>(_files.OpenAsync());
        Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(error.Message, Is.EqualTo(
            $"state directory {_files.Directory} was written by a newer mgmtd (schema 99, this one knows {Schema.Version}); install that version or give another --state-dir"));
        Assert.That(await File.ReadAllBytesAsync(_files.File), Is.EqualTo(before));
    }

    [Test]
    public async Task A_store_of_the_first_schema_is_brought_up_to_date_and_loses_nothing()
    {
        MakeFirstVersion();
        await using (var store = await _files.OpenAsync(() => throw new InvalidOperationException("asked for the seed")))
        {
            Assert.Multiple(() =>
            {
                Assert.That(store.Current.Get(TestStore.Name("work")).Volumes[VolumeName.Root].SizeBytes, Is.EqualTo(1024));
                Assert.That(store.Current.Get(TestStore.Name("work")).Status.Run!.Pid, Is.EqualTo(77));
                Assert.That(store.Current.Properties["default_netvm"], Is.EqualTo("sys-net"));
                Assert.That(store.Current.VolumesInWork, Is.Empty);
                Assert.That(store.Journal.Newest.Sequence, Is.EqualTo(41));
                Assert.That(store.Journal.Read(0, 10).Single().Event["vm"], Is.EqualTo("work"));
            });
            await Assert.ThatAsyncThrows<StateStoreException>(store.ApplyAsync(t => t.PutVm(TestStore.Vm("other", 5)), CancellationToken.None));
            await store.ApplyAsync(t => t.AddVolumeInWork(TestStore.InWork("a")), CancellationToken.None);
        }
        using var connection = SqliteConnection.Open(_files.File);
        Assert.That(connection.QueryInt64("PRAGMA user_version"), Is.EqualTo(Schema.Version));
        Assert.That(connection.QueryInt64("SELECT count(*) FROM volume_in_work"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_migration_that_fails_leaves_the_old_store_as_it_was()
    {
        MakeFirstVersion();
        Sql("INSERT INTO vm SELECT 'twin', '00000000-0000-4000-8000-000000000002', qid, document, NULL FROM vm");
        var error = await Assert.ThatAsyncThrows<MgmtException>(_files.OpenAsync());
        Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
        using var connection = SqliteConnection.Open(_files.File);
        Assert.That(connection.QueryInt64("PRAGMA user_version"), Is.EqualTo(1));
        Assert.That(connection.QueryInt64("SELECT count(*) FROM vm"), Is.EqualTo(2));
    }

    [Test]
    public async Task A_foreign_database_and_a_broken_file_are_refused()
    {
        await File.WriteAllBytesAsync(_files.File, []);
        Sql("CREATE TABLE somebody_elses (x)");
        var foreign = await Assert.ThatAsyncThrows<MgmtException>(_files.OpenAsync());
        Assert.That(foreign.Message, Does.Contain("holds a database that mgmtd did not make"));
        await File.WriteAllTextAsync(_files.File, new string('x', 10_000));
        var broken = await Assert.ThatAsyncThrows<MgmtException>(_files.OpenAsync());
        Assert.That(broken.Message, Does.Contain("file is not a database"));
        Assert.That(broken.Code, Is.EqualTo(ErrorCode.MgmtUnavailableError));
    }

    [TestCase("""{"class":"AppVM","surprise":1}""", "unknown field 'surprise'")]
    [TestCase("""{"class":"WhatVM"}""", "unknown class")]
    [TestCase("""{"properties":{}}""", "no class")]
    [TestCase("""{"class":"AppVM","volumes":{"root":{"pool":"p"}}}""", "a volume lacks a field")]
    [TestCase("""{"class":"AppVM","tags":[1]}""", "text expected")]
    [TestCase("""{"class":"AppVM","tags":["a b"]}""", "disallowed characters")]
    [TestCase("""{"class":"AppVM" """, "JSON")]
    public async Task A_damaged_record_is_named(string document, string reason)
    {
        await using (await _files.OpenAsync(TestStore.Seed))
        {
        }
        Sql($"UPDATE vm SET document = '{document}' WHERE name = 'work'");
        var error = await Assert.ThatAsyncThrows<MgmtException>(_files.OpenAsync());
        Assert.That(error.Message, Does.Contain("VM 'work'").And.Contain(reason));
    }

    [Test]
    public async Task A_daemon_that_died_while_making_the_store_is_made_up_for()
    {
        await File.WriteAllBytesAsync(_files.File, []);
        var failing = await Assert.ThatAsyncThrows<InvalidOperationException>(_files.OpenAsync(() => throw new InvalidOperationException("seed")));
        Assert.That(failing.Message, Is.EqualTo("seed"));
        await using var store = await _files.OpenAsync(TestStore.Seed);
        Assert.That(store.IsNew);
        Assert.That(store.Current.Vms, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task The_epoch_stays_over_restarts_and_moves_and_is_new_for_a_copy()
    {
        ulong epoch;
        await using (var store = await _files.OpenAsync(TestStore.Seed))
        {
            epoch = store.Journal.Epoch;
            await store.ApplyAsync(t => t.Emit(TestStore.Event(1)), CancellationToken.None);
        }
        var aside = _files.File + ".aside";
        File.Move(_files.File, aside);
        File.Move(aside, _files.File);
        await using (var store = await _files.OpenAsync())
        {
            Assert.That(store.Journal.Epoch, Is.EqualTo(epoch));
        }
        File.Copy(_files.File, aside);
        File.Move(aside, _files.File, overwrite: true);
        ulong renewed;
        await using (var store = await _files.OpenAsync())
        {
            renewed = store.Journal.Epoch;
            Assert.That(renewed, Is.Not.EqualTo(epoch));
            Assert.That(store.Journal.Holds(new(epoch, 1)), Is.False);
            Assert.That(store.Journal.Newest, Is.EqualTo(new EventCursor(renewed, 1)));
        }
        await using var later = await _files.OpenAsync();
        Assert.That(later.Journal.Epoch, Is.EqualTo(renewed));
    }

    private void MakeFirstVersion()
    {
        File.WriteAllBytes(_files.File, []);
        Sql(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "schema-1.sql")));
    }

    private void Sql(string sql)
    {
        using var connection = SqliteConnection.Open(_files.File);
        connection.Execute(sql);
    }
}
