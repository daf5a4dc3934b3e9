using System.Globalization;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// Tells subscribers how far a copy is: <c>progress</c> events of a VM, at most two a second, the first at once with 0 done. The copy never
/// waits for one: what comes while one is being written replaces what waits. After <see cref="Complete"/> disposing tells that all is done.
/// KEYS: operation, id (of the call), done, total (bytes). SOURCE: docs/events.md.
/// </summary>
internal sealed class ProgressEvents : IProgress<CopyProgress>, IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new();
    private readonly StateStore _store;
    private readonly VmName _subject;
    private readonly string _operation;
    private readonly string _id;
    private readonly TimeProvider _clock;
    private readonly CancellationTokenSource _ended = new();
    private readonly SemaphoreSlim _news = new(0, 1);
    private readonly Task _loop;
    // Guarded by _lock.
    private CopyProgress _last;
    private bool _isNew, _isComplete;

    /// <summary>Begins at once; a copy whose size is known before its first report gives it as <paramref name="totalBytes"/>.</summary>
    internal ProgressEvents(StateStore store, VmName subject, string operation, long id, TimeProvider clock, long totalBytes = 0)
    {
        (_store, _subject, _operation, _clock) = (store, subject, operation, clock);
        _id = id.ToString(CultureInfo.InvariantCulture);
        _last = new(0, totalBytes);
        _loop = RunAsync();
    }

    /// <inheritdoc/>
    public void Report(CopyProgress value)
    {
        lock (_lock)
        {
            _last = value;
            if (!_isNew)
            {
                _isNew = true;
                _news.Release();
            }
        }
    }

    /// <summary>The copy is whole: the last event is of its total.</summary>
    internal void Complete()
    {
        lock (_lock)
        {
            _isComplete = true;
        }
    }

    /// <summary>Ends the events, with the last one when it was completed.</summary>
    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _loop;
        if (_isComplete)
        {
            await TellAsync(_last with { DoneBytes = _last.TotalBytes });
        }
        _ended.Dispose();
        _news.Dispose();
    }

    private async Task RunAsync()
    {
        await TellAsync(_last);
        try
        {
            while (true)
            {
                await Task.Delay(Pause, _clock, _ended.Token);
                await _news.WaitAsync(_ended.Token);
                await TellAsync(Take());
            }
        }
        catch (OperationCanceledException)
        {
            // The copy has ended.
        }
    }

    private CopyProgress Take()
    {
        lock (_lock)
        {
            _isNew = false;
            return _last;
        }
    }

    /// <summary>A store that takes nothing is no reason to end a copy: whoever made the change finds out.</summary>
    private async Task TellAsync(CopyProgress progress)
    {
        try
        {
            await _store.ApplyAsync(change => change.Emit(MgmtEvent.Of(_subject, "progress", ("operation", _operation), ("id", _id),
                ("done", progress.DoneBytes.ToString(CultureInfo.InvariantCulture)), ("total", progress.TotalBytes.ToString(CultureInfo.InvariantCulture)))), CancellationToken.None);
        }
        catch (Exception error) when (error is MgmtException or StateStoreException)
        {
        }
    }
}
