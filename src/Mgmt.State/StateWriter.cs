using System.Threading.Channels;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.State;

/// <summary>
/// The only one that changes anything. It takes what is queued as one group: runs each change against the state with
/// the changes before it, commits once, publishes, delivers the events, and then lets the callers go on, in that order.
/// </summary>
internal sealed class StateWriter : IAsyncDisposable
{
    private const int QueueLength = 1024;
    private const int LargestGroup = 256;

    private readonly StateDatabase _database;
    private readonly EventJournal _journal;
    private readonly StateStoreOptions _options;
    private readonly JournalPruner _pruner;
    private readonly Channel<Change> _queue = Channel.CreateBounded<Change>(new BoundedChannelOptions(QueueLength) { SingleReader = true });
    private readonly ITimer _pruneTimer;
    private readonly Task _loop;
    private volatile HostState _current;
    private volatile string? _deadReason;
    private long _commits;

    internal StateWriter(StateDatabase.Opened opened, EventJournal journal, StateStoreOptions options)
    {
        (_database, _journal, _options, _current) = (opened.Database, journal, options, opened.State);
        _pruner = new JournalPruner(_database, journal, options);
        // A full queue needs no nudge: the writer looks at the journal after every group.
        _pruneTimer = options.TimeProvider.CreateTimer(_ => _queue.Writer.TryWrite(Nudge.Instance), null, TimeSpan.Zero, _pruner.Interval);
        _loop = Task.Run(RunAsync);
    }

    internal HostState Current => _current;

    internal string? DeadReason => _deadReason;

    internal long Commits => Interlocked.Read(ref _commits);

    /// <summary>Queues a change; waits while the queue is full. ERRORS: MgmtUnavailableError.</summary>
    internal async ValueTask EnqueueAsync(Change change, CancellationToken cancellationToken)
    {
        if (_deadReason is { } reason)
        {
            throw Refusal(reason);
        }
        try
        {
            await _queue.Writer.WriteAsync(change, cancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "the daemon is shutting down");
        }
    }

    /// <summary>Applies what is queued and takes nothing more.</summary>
    public async ValueTask DisposeAsync()
    {
        await _pruneTimer.DisposeAsync();
        _queue.Writer.TryComplete();
        await _loop;
    }

    private async Task RunAsync()
    {
        var group = new List<Change>(LargestGroup);
        while (await _queue.Reader.WaitToReadAsync(CancellationToken.None))
        {
            group.Clear();
            while (group.Count < LargestGroup && _queue.Reader.TryRead(out var change))
            {
                if (change.TryTake())
                {
                    group.Add(change);
                }
            }
            ApplyGroup(group);
            if (_deadReason is null)
            {
                Prune();
            }
        }
    }

    private void ApplyGroup(List<Change> group)
    {
        var failures = new Exception?[group.Count];
        var accepted = new Accepted(_current);
        try
        {
            if (_deadReason is { } reason)
            {
                throw Refusal(reason);
            }
            for (var i = 0; i < group.Count; i++)
            {
                failures[i] = TryApply(group[i], accepted);
            }
            if (_database.InTransaction)
            {
                _database.Commit();
                Interlocked.Increment(ref _commits);
            }
            _current = accepted.State;
            if (accepted.Entries.Count > 0)
            {
                _journal.Deliver(accepted.Entries);
            }
        }
        catch (Exception e)
        {
            // A change that was refused for its own sake keeps its own reason.
            var error = Abandon(e, group.Count);
            for (var i = 0; i < failures.Length; i++)
            {
                failures[i] ??= error;
            }
        }
        Answer(group, failures);
    }

    private static void Answer(List<Change> group, Exception?[] failures)
    {
        for (var i = 0; i < failures.Length; i++)
        {
            if (failures[i] is { } error)
            {
                group[i].Fail(error);
            }
            else
            {
                group[i].Complete();
            }
        }
    }

    // The change's own failure, or null. Throws when the whole group is lost.
    private Exception? TryApply(Change change, Accepted accepted)
    {
        var transaction = new StateTransaction(accepted.State, WholeMilliseconds(_options.TimeProvider.GetUtcNow()));
        try
        {
            change.Run(transaction);
        }
        catch (Exception e)
        {
            return e;
        }
        finally
        {
            transaction.End();
        }
        var entries = Number(transaction, accepted.Entries.Count);
        if (transaction.HasStoredPart && TryWrite(transaction, entries, accepted) is { } error)
        {
            return error;
        }
        accepted.Add(transaction, entries);
        return null;
    }

    private Exception? TryWrite(StateTransaction transaction, List<JournalEntry> entries, Accepted accepted)
    {
        if (!_database.InTransaction)
        {
            _database.Begin();
        }
        try
        {
            _database.Write(transaction, entries);
            return null;
        }
        catch (StateStoreException e) when (e.IsFull)
        {
            WriteAgain(accepted);
            return NoSpace(e);
        }
        catch (Exception e) when (e is not StateStoreException { IsFatal: true } && _database.InTransaction)
        {
            return e;
        }
    }

    // A full disk makes SQLite undo the whole transaction. What the others changed is known, so they need not suffer.
    private void WriteAgain(Accepted accepted)
    {
        if (!_database.InTransaction && accepted.Stored.Count > 0)
        {
            _database.Begin();
            foreach (var (transaction, entries) in accepted.Stored)
            {
                _database.Write(transaction, entries);
            }
        }
    }

    private List<JournalEntry> Number(StateTransaction transaction, int before)
    {
        var first = _journal.Newest.Sequence + (ulong)before + 1;
        var entries = new List<JournalEntry>(transaction.Events.Count);
        foreach (var happened in transaction.Events)
        {
            entries.Add(new(first + (ulong)entries.Count, transaction.Now, happened));
        }
        return entries;
    }

    // Undoes the group and says what its callers are told. What was not a plain refusal ends the store: after a failed
    // write or fsync nobody knows what is on disk, and trying again could report as durable what is not.
    private Exception Abandon(Exception error, int changes)
    {
        if (error is MgmtException)
        {
            return error;
        }
        Log.GroupFailed(_options.Logger, error, changes);
        if (error is StateStoreException { IsFatal: false } failure)
        {
            try
            {
                _database.Rollback();
                return failure.IsFull ? NoSpace(failure)
                    : failure.IsBusy ? new MgmtException(failure, ErrorCode.MgmtUnavailableError, "the state database is locked by another program")
                    : failure;
            }
            catch (StateStoreException e)
            {
                error = e;
            }
        }
        return Refusal(Die(error), error);
    }

    private void Prune()
    {
        try
        {
            // More to do: come back after whatever is queued by then. If it is full, coming back is certain.
            if (_pruner.PruneSome())
            {
                _queue.Writer.TryWrite(Nudge.Instance);
            }
        }
        catch (StateStoreException e) when (!e.IsFatal)
        {
            Log.PruneFailed(_options.Logger, e);
        }
        catch (StateStoreException e)
        {
            Die(e);
        }
    }

    private string Die(Exception error)
    {
        Log.Died(_options.Logger, error, error.Message);
        return _deadReason = error.Message;
    }

    private MgmtException NoSpace(StateStoreException error) =>
        new(error, ErrorCode.MgmtNoSpaceError, "no space left in state directory %s", _options.Directory);

    private static MgmtException Refusal(string reason, Exception? inner = null) =>
        new(inner, ErrorCode.MgmtUnavailableError, "the state store failed and takes no changes until mgmtd is restarted: %s", reason);

    // So that an event read back from disk equals the one that was delivered.
    private static DateTimeOffset WholeMilliseconds(DateTimeOffset time) => DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());

    /// <summary>What the group's changes come to so far.</summary>
    private sealed class Accepted(HostState state)
    {
        internal HostState State { get; private set; } = state;
        internal List<JournalEntry> Entries { get; } = [];
        internal List<(StateTransaction Transaction, List<JournalEntry> Entries)> Stored { get; } = [];

        internal void Add(StateTransaction transaction, List<JournalEntry> entries)
        {
            State = transaction.After;
            Entries.AddRange(entries);
            if (transaction.HasStoredPart)
            {
                Stored.Add((transaction, entries));
            }
        }
    }

    /// <summary>Changes nothing; makes the writer look at the journal.</summary>
    private sealed class Nudge : Change
    {
        internal static Nudge Instance { get; } = new();

        internal override bool TryTake() => false;

        internal override void Run(IStateTransaction transaction)
        {
        }

        internal override void Complete()
        {
        }

        internal override void Fail(Exception error)
        {
        }
    }
}
