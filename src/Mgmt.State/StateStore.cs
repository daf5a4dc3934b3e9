using System.Text.Json;
using Mgmt.Core;
using Mgmt.State.Native;

namespace Mgmt.State;

/// <summary>
/// What must survive: one SQLite database in the state directory, held in memory as one immutable value. A change and
/// its events are one transaction. SOURCE: docs/architecture.md, "State and time".
/// </summary>
public sealed class StateStore : IAsyncDisposable
{
    private const string FileName = "state.db";

    private readonly DirectoryLock _lock;
    private readonly StateDatabase _database;
    private readonly StateWriter _writer;
    private int _disposed;

    private StateStore(DirectoryLock directoryLock, StateDatabase.Opened opened, EventJournal journal, StateStoreOptions options)
    {
        (_lock, _database, Journal, IsNew) = (directoryLock, opened.Database, journal, opened.IsNew);
        _writer = new StateWriter(opened, journal, options);
    }

    /// <summary>
    /// The last published state. VMs that were loaded with a <see cref="VmStatus.Run"/> are <see cref="VmState.NA"/> until
    /// they are adopted, dom0 is Running, all others are Halted.
    /// </summary>
    public HostState Current => _writer.Current;

    /// <summary>Whether this opening made the store; its state is then the seed, as it was given.</summary>
    public bool IsNew { get; }

    /// <summary>Why the store takes no more changes, or null. It never recovers: the daemon must be started again.</summary>
    public string? DeadReason => _writer.DeadReason;

    /// <summary>How many transactions changes were committed in; fewer than the changes where callers came together.</summary>
    public long CommitCount => _writer.Commits;

    /// <summary>The committed events.</summary>
    public EventJournal Journal { get; }

    /// <summary>
    /// Opens the store, which is made when the directory holds none, and keeps the directory for this process.
    /// ERRORS: MgmtUnavailableError when another mgmtd has it, a newer one wrote it, or it is damaged or out of reach;
    /// MgmtNoSpaceError.
    /// </summary>
    public static Task<StateStore> OpenAsync(StateStoreOptions options, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.JournalMaxEntries, 1, nameof(options));
        return Task.Run(() => Open(options with { Directory = Path.GetFullPath(options.Directory) }), cancellationToken);
    }

    /// <summary>
    /// Runs a change against the newest state and gives its result once the change is durable, published and its events
    /// are delivered.
    /// </summary>
    /// <remarks>
    /// The delegate runs once, on the single writer: it computes and waits for nothing. What it throws undoes this change
    /// alone and goes to the caller. A change that touches nothing that is kept on disk costs no write. Cancellation has
    /// an effect until the change is picked up, never after.
    /// ERRORS: MgmtNoSpaceError (nothing happened, try again later); MgmtUnavailableError when the store is dead, locked
    /// by another program or closing; QubesValueError for text with a zero byte or half a character; StateStoreException
    /// for what the schema forbids, such as two VMs with one qid.
    /// </remarks>
    public async Task<T> ApplyAsync<T>(Func<IStateTransaction, T> change, CancellationToken cancellationToken)
    {
        var queued = new Change<T>(change);
        await _writer.EnqueueAsync(queued, cancellationToken);
        using (cancellationToken.UnsafeRegister(static (queued, token) => ((Change<T>)queued!).Cancel(token), queued))
        {
            return await queued.Task;
        }
    }

    /// <summary>As the other one, for a change without a result.</summary>
    public Task ApplyAsync(Action<IStateTransaction> change, CancellationToken cancellationToken) =>
        ApplyAsync(
            transaction =>
            {
                change(transaction);
                return true;
            },
            cancellationToken);

    /// <summary>Applies what is queued, then closes. Changes that come later are refused with MgmtUnavailableError.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }
        await _writer.DisposeAsync();
        Journal.Close();
        _database.Dispose();
        _lock.Dispose();
    }

    /// <summary>A small disk, for tests; to be called inside a change.</summary>
    internal void LimitPages(int pages) => _database.LimitPages(pages);

    private static StateStore Open(StateStoreOptions options)
    {
        DirectoryLock? directoryLock = null;
        StateDatabase? database = null;
        try
        {
            Directory.CreateDirectory(options.Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            directoryLock = DirectoryLock.Take(options.Directory);
            var file = Path.Combine(options.Directory, FileName);
            StoreFile.CreateIfMissing(file);
            var opened = StateDatabase.Open(file, options);
            database = opened.Database;
            var (oldest, newest) = database.JournalRange();
            var journal = new EventJournal(file, opened.Epoch, oldest ?? 1, newest ?? 0, options.Logger);
            Log.Opened(options.Logger, options.Directory, opened.State.Vms.Count, journal.Newest.ToString());
            return new StateStore(directoryLock, opened, journal, options);
        }
        catch (Exception e)
        {
            database?.Dispose();
            directoryLock?.Dispose();
            if (Explain(e, options.Directory) is { } explained)
            {
                throw explained;
            }
            throw;
        }
    }

    private static MgmtException? Explain(Exception error, string directory) => error switch
    {
        StateStoreException { IsFull: true } => new(error, ErrorCode.MgmtNoSpaceError, "no space left in state directory %s", directory),
        StateStoreException { IsBusy: true } => new(error, ErrorCode.MgmtUnavailableError, "the database in state directory %s is locked by another program", directory),
        StateStoreException or FormatException or JsonException =>
            new(error, ErrorCode.MgmtUnavailableError, "the database in state directory %s cannot be used: %s", directory, error.Message),
        IOException or UnauthorizedAccessException => new(error, ErrorCode.MgmtUnavailableError, "state directory %s cannot be used: %s", directory, error.Message),
        _ => null,
    };
}
