using System.Buffers;
using Mgmt.Core;
using Mgmt.State.Documents;
using Mgmt.State.Sqlite;

namespace Mgmt.State;

/// <summary>The writer's connection with its statements. Used by one thread at a time.</summary>
internal sealed partial class StateDatabase : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly ArrayBufferWriter<byte> _buffer = new(4096);
    private readonly SqliteStatement _begin, _commit, _rollback, _savepoint, _release, _undo;
    private readonly SqliteStatement _putVm, _removeVm, _putLabel, _removeLabel, _putPool, _removePool, _putProperty, _removeProperty, _putInWork, _removeInWork;
    private readonly SqliteStatement _append, _firstSince, _removeEvents, _oldest, _newest;

    internal StateDatabase(SqliteConnection connection)
    {
        _connection = connection;
        _begin = connection.Prepare("BEGIN IMMEDIATE");
        _commit = connection.Prepare("COMMIT");
        _rollback = connection.Prepare("ROLLBACK");
        _savepoint = connection.Prepare("SAVEPOINT change");
        _release = connection.Prepare("RELEASE change");
        _undo = connection.Prepare("ROLLBACK TO change");
        _putVm = connection.Prepare("""
            INSERT INTO vm (name, uuid, qid, document, run) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (name) DO UPDATE SET uuid = ?2, qid = ?3, document = ?4, run = ?5
            """);
        _removeVm = connection.Prepare("DELETE FROM vm WHERE name = ?1");
        _putLabel = connection.Prepare("INSERT OR REPLACE INTO label (name, number, color) VALUES (?1, ?2, ?3)");
        _removeLabel = connection.Prepare("DELETE FROM label WHERE name = ?1");
        _putPool = connection.Prepare("INSERT OR REPLACE INTO pool (name, driver, config) VALUES (?1, ?2, ?3)");
        _removePool = connection.Prepare("DELETE FROM pool WHERE name = ?1");
        _putProperty = connection.Prepare("INSERT OR REPLACE INTO property (name, value) VALUES (?1, ?2)");
        _removeProperty = connection.Prepare("DELETE FROM property WHERE name = ?1");
        _putInWork = connection.Prepare("INSERT OR REPLACE INTO volume_in_work (pool, vid) VALUES (?1, ?2)");
        _removeInWork = connection.Prepare("DELETE FROM volume_in_work WHERE pool = ?1 AND vid = ?2");
        _append = connection.Prepare("INSERT INTO journal (seq, time, subject, name, pairs) VALUES (?1, ?2, ?3, ?4, ?5)");
        _firstSince = connection.Prepare("SELECT seq FROM journal WHERE time >= ?1 ORDER BY seq LIMIT 1");
        _removeEvents = connection.Prepare("DELETE FROM journal WHERE seq < ?1");
        _oldest = connection.Prepare("SELECT min(seq) FROM journal");
        _newest = connection.Prepare("SELECT max(seq) FROM journal");
    }

    /// <summary>A transaction has begun and was neither committed nor undone, by us or by SQLite.</summary>
    internal bool InTransaction => _connection.InTransaction;

    internal void Begin() => _begin.Run();

    internal void Commit() => _commit.Run();

    internal void Rollback()
    {
        if (InTransaction)
        {
            _rollback.Run();
        }
    }

    /// <summary>
    /// Writes one change inside the transaction. When it throws, nothing of this change is left; see
    /// <see cref="InTransaction"/> for whether the ones before it are.
    /// </summary>
    internal void Write(StateTransaction change, IReadOnlyList<JournalEntry> entries)
    {
        _savepoint.Run();
        try
        {
            WriteParts(change, entries);
            _release.Run();
        }
        catch when (InTransaction)
        {
            _undo.Run();
            _release.Run();
            throw;
        }
    }

    /// <summary>Removes every event before <paramref name="sequence"/>, in a transaction of its own.</summary>
    internal void RemoveEventsBefore(ulong sequence)
    {
        Begin();
        try
        {
            _removeEvents.Bind(1, (long)sequence).Run();
            Commit();
        }
        catch
        {
            Rollback();
            throw;
        }
    }

    /// <summary>The first event that is not older than the time, or null.</summary>
    internal ulong? FirstEventSince(DateTimeOffset time) => Sequence(_firstSince.Bind(1, time.ToUnixTimeMilliseconds()));

    internal (ulong? Oldest, ulong? Newest) JournalRange() => (Sequence(_oldest), Sequence(_newest));

    internal void LimitPages(int pages) => _connection.QueryInt64(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"PRAGMA max_page_count = {pages}"));

    public void Dispose() => _connection.Dispose();

    private void WriteParts(StateTransaction change, IReadOnlyList<JournalEntry> entries)
    {
        // Removals first: what is put may take over the UUID or qid of what goes.
        foreach (var name in change.ChangedVms.Where(name => change.After.Find(name) is null))
        {
            _removeVm.Bind(1, name.Value).Run();
        }
        foreach (var name in change.ChangedVms)
        {
            if (change.After.Find(name) is { } vm)
            {
                PutVm(vm);
            }
        }
        foreach (var name in change.ChangedLabels)
        {
            WriteLabel(name, change.After.Labels.GetValueOrDefault(name));
        }
        foreach (var name in change.ChangedPools)
        {
            WritePool(name, change.After.Pools.GetValueOrDefault(name));
        }
        foreach (var name in change.ChangedProperties)
        {
            WriteProperty(name, change.After.Properties.GetValueOrDefault(name));
        }
        foreach (var volume in change.ChangedVolumesInWork)
        {
            (change.After.VolumesInWork.Contains(volume) ? _putInWork : _removeInWork).Bind(1, volume.Pool.Value).Bind(2, volume.Vid.Value).Run();
        }
        foreach (var entry in entries)
        {
            Append(entry);
        }
    }

    internal void PutVm(VmRecord vm)
    {
        _putVm.Bind(1, vm.Name.Value).Bind(2, vm.Uuid.ToString("D")).Bind(3, vm.Qid).BindUtf8(4, VmDocument.Write(vm, _buffer));
        if (vm.Status.Run is { } run)
        {
            _putVm.BindUtf8(5, RunDocument.Write(run, _buffer));
        }
        _putVm.Run();
    }

    internal void WriteLabel(LabelName name, Label? label)
    {
        if (label is null)
        {
            _removeLabel.Bind(1, name.Value).Run();
        }
        else
        {
            _putLabel.Bind(1, name.Value).Bind(2, label.Index).Bind(3, label.Color).Run();
        }
    }

    internal void WritePool(PoolName name, PoolRecord? pool)
    {
        if (pool is null)
        {
            _removePool.Bind(1, name.Value).Run();
        }
        else
        {
            _putPool.Bind(1, name.Value).Bind(2, pool.Driver).BindUtf8(3, TextDocuments.WriteMap(pool.Config, _buffer)).Run();
        }
    }

    internal void WriteProperty(string name, string? value)
    {
        if (value is null)
        {
            _removeProperty.Bind(1, name).Run();
        }
        else
        {
            _putProperty.Bind(1, name).Bind(2, value).Run();
        }
    }

    private void Append(JournalEntry entry) => _append
        .Bind(1, (long)entry.Sequence)
        .Bind(2, entry.Time.ToUnixTimeMilliseconds())
        .Bind(3, entry.Event.Subject)
        .Bind(4, entry.Event.Name)
        .BindUtf8(5, TextDocuments.WritePairs(entry.Event.Pairs, _buffer))
        .Run();

    private static ulong? Sequence(SqliteStatement query)
    {
        try
        {
            return query.Step() && !query.IsNull(0) ? (ulong)query.Int64(0) : null;
        }
        finally
        {
            query.Reset();
        }
    }
}
