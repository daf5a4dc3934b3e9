using System.Collections.Immutable;
using Mgmt.Core;
using Mgmt.State.Documents;
using Mgmt.State.Sqlite;
using Microsoft.Extensions.Logging;

namespace Mgmt.State;

/// <summary>
/// The committed events, oldest first, numbered from 1 without gaps; pruning takes away from the front. All members may
/// be used from any thread. SOURCE: docs/events.md.
/// </summary>
public sealed class EventJournal
{
    private readonly ILogger _logger;
    private readonly Lock _rangeGate = new();
    private ulong _oldest, _newest;
    private ImmutableArray<Subscription> _subscriptions = [];

    private readonly Lock _readGate = new();
    private readonly SqliteConnection _connection;
    private readonly SqliteStatement _read;

    internal EventJournal(string file, ulong epoch, ulong oldest, ulong newest, ILogger logger)
    {
        (Epoch, _oldest, _newest, _logger) = (epoch, oldest, newest, logger);
        _connection = SqliteConnection.Open(file);
        try
        {
            _connection.Execute("PRAGMA query_only = ON");
            _read = _connection.Prepare("SELECT seq, time, subject, name, pairs FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3");
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The random number of this store. A store keeps it over restarts and reboots; a copy of the database file that is
    /// opened instead of the file itself gets a new one, because its numbers may be given out a second time.
    /// </summary>
    /// <remarks>
    /// A copy is told by inode number and time of birth, so restore a backup as a new file (cp, tar and mv do): bytes
    /// written over the very file in place look like the same store.
    /// </remarks>
    public ulong Epoch { get; }

    /// <summary>The last committed event; sequence 0 when there never was one. Never goes back, and outlives pruning.</summary>
    public EventCursor Newest
    {
        get
        {
            lock (_rangeGate)
            {
                return new(Epoch, _newest);
            }
        }
    }

    /// <summary>
    /// The oldest event that is still held. When none is held it is the one that comes next: sequence
    /// <c>Newest.Sequence + 1</c>. So <c>Newest - Oldest + 1</c> is always the number of events held.
    /// </summary>
    public EventCursor Oldest
    {
        get
        {
            lock (_rangeGate)
            {
                return new(Epoch, _oldest);
            }
        }
    }

    /// <summary>
    /// Whether everything after the cursor can be had: it is of this store, not in the future, and every event after it
    /// is still held. Sequence 0 is the place before the first event.
    /// </summary>
    public bool Holds(EventCursor cursor)
    {
        lock (_rangeGate)
        {
            return cursor.Epoch == Epoch && cursor.Sequence <= _newest && cursor.Sequence + 1 >= _oldest;
        }
    }

    /// <summary>As the other one, up to <see cref="Newest"/>.</summary>
    public IReadOnlyList<JournalEntry> Read(ulong afterSequence, int max) => Read(afterSequence, ulong.MaxValue, max);

    /// <summary>
    /// At most <paramref name="max"/> events after one sequence and up to and including another, oldest first. Reads
    /// from disk on a connection of its own and does not hold up the writer. Events that were pruned in the meantime
    /// are missing in front: the first one's sequence then is not <paramref name="afterSequence"/> + 1.
    /// ERRORS: MgmtUnavailableError when the disk fails; ObjectDisposedException after the store was disposed.
    /// </summary>
    public IReadOnlyList<JournalEntry> Read(ulong afterSequence, ulong throughSequence, int max)
    {
        // What is committed and not yet delivered stays unseen, as everywhere else.
        var through = Math.Min(throughSequence, Newest.Sequence);
        if (afterSequence >= through || max <= 0)
        {
            return [];
        }
        lock (_readGate)
        {
            try
            {
                return ReadRows(_read.Bind(1, (long)afterSequence).Bind(2, (long)through).Bind(3, max));
            }
            catch (StateStoreException e)
            {
                throw new MgmtException(e, ErrorCode.MgmtUnavailableError, "the event journal cannot be read");
            }
            finally
            {
                _read.Reset();
            }
        }
    }

    /// <summary>As the other one, for those who do not replay.</summary>
    public IDisposable Subscribe(Action<IReadOnlyList<JournalEntry>> handler) => Subscribe(handler, out _);

    /// <summary>
    /// Calls the handler with the events of each group of changes, in order, beginning right after
    /// <paramref name="from"/>: what is up to there comes from <see cref="Read(ulong, ulong, int)"/>, what is after it
    /// comes to the handler, nothing is in both.
    /// </summary>
    /// <remarks>
    /// The handler runs on the writer after commit and publication; every change waits for it, so it only puts the
    /// events into a queue. What it throws is logged. One more call may come while or just after the subscription is disposed.
    /// </remarks>
    public IDisposable Subscribe(Action<IReadOnlyList<JournalEntry>> handler, out EventCursor from)
    {
        var subscription = new Subscription(this, handler);
        lock (_rangeGate)
        {
            _subscriptions = _subscriptions.Add(subscription);
            from = new(Epoch, _newest);
        }
        return subscription;
    }

    /// <summary>Closes the read connection; reading then throws ObjectDisposedException.</summary>
    internal void Close()
    {
        lock (_readGate)
        {
            _connection.Dispose();
        }
    }

    /// <summary>The writer committed these events.</summary>
    internal void Deliver(IReadOnlyList<JournalEntry> entries)
    {
        ImmutableArray<Subscription> subscriptions;
        lock (_rangeGate)
        {
            _newest = entries[^1].Sequence;
            subscriptions = _subscriptions;
        }
        foreach (var subscription in subscriptions)
        {
            try
            {
                subscription.Handler(entries);
            }
            catch (Exception e)
            {
                Log.ReceiverFailed(_logger, e);
            }
        }
    }

    /// <summary>The writer is about to remove every event before this one.</summary>
    internal void ForgetBefore(ulong sequence)
    {
        lock (_rangeGate)
        {
            _oldest = sequence;
        }
    }

    private static List<JournalEntry> ReadRows(SqliteStatement query)
    {
        var entries = new List<JournalEntry>();
        while (query.Step())
        {
            entries.Add(new(
                (ulong)query.Int64(0),
                DateTimeOffset.FromUnixTimeMilliseconds(query.Int64(1)),
                new MgmtEvent(query.Text(2), query.Text(3), TextDocuments.ReadPairs(query.Utf8(4)))));
        }
        return entries;
    }

    private void Remove(Subscription subscription)
    {
        lock (_rangeGate)
        {
            _subscriptions = _subscriptions.Remove(subscription);
        }
    }

    private sealed class Subscription(EventJournal journal, Action<IReadOnlyList<JournalEntry>> handler) : IDisposable
    {
        internal Action<IReadOnlyList<JournalEntry>> Handler => handler;

        public void Dispose() => journal.Remove(this);
    }
}
