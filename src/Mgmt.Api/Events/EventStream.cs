using System.Threading.Channels;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// One subscriber: <c>connection-established</c>, then what it missed since its cursor, then what happens. Its queue is bounded; a
/// subscriber that does not keep up is told so and closed, and resumes by its cursor.
/// </summary>
internal sealed class EventStream(
    StateStore store, EventVisibility visibility, TimeProvider clock, TimeSpan bookmarkInterval, int queueLength,
    string subscriber, VmRecord destination, EventFilter filter, IEventSink sink, bool saysWhyItEnds)
{
    private const int Page = 512;
    private readonly EventJournal _journal = store.Journal;
    private readonly Channel<JournalEntry?> _queue = Channel.CreateBounded<JournalEntry?>(new BoundedChannelOptions(queueLength) { SingleReader = true });
    private StreamEnd? _end;
    private ulong _position;
    private long _lastBookmark = clock.GetTimestamp();

    private bool WithCursors => filter.WithCursor;

    /// <summary>The VM itself, not an earlier one of the same name whose removal is replayed.</summary>
    private bool IsRemoved => store.Current.Find(destination.Uuid) is null;

    /// <summary>Makes the stream look at the policy again.</summary>
    internal void Wake() => _queue.Writer.TryWrite(null);

    /// <summary>Ends the stream after what is queued.</summary>
    internal void End(StreamEnd reason)
    {
        _end ??= reason;
        _queue.Writer.TryComplete();
    }

    internal async Task RunAsync(CancellationToken cancellation)
    {
        using var subscription = _journal.Subscribe(Enqueue, out var from);
        var replay = filter.Since is { } since && _journal.Holds(since);
        _position = replay ? filter.Since!.Value.Sequence : from.Sequence;
        await SendAsync(MgmtEvent.Global("connection-established"), cancellation);
        try
        {
            await GoOnAsync(replay, from, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            throw new StreamBrokenException(error);
        }
    }

    private async Task GoOnAsync(bool replay, EventCursor from, CancellationToken cancellation)
    {
        if (filter.Since is not null && !replay)
        {
            // Its cursor, the last pair as in every event, is the newest.
            await SendAsync(MgmtEvent.Global("gone", ("oldest", _journal.Oldest.ToString())), cancellation);
        }
        await sink.FlushAsync(cancellation);
        if (IsRemoved)
        {
            // Between the beginning of the call and the subscription: no event will tell.
            _end = StreamEnd.Removed;
        }
        else if (!replay || await ReplayAsync(from.Sequence, cancellation))
        {
            await FollowAsync(cancellation);
        }
        if (_end is { } reason && saysWhyItEnds)
        {
            await SendAsync(MgmtEvent.Global("stream-closed", ("reason", reason.ToString().ToLowerInvariant())), cancellation);
            await sink.FlushAsync(cancellation);
        }
    }

    /// <summary>Runs on the store's writer: puts into the queue and never waits.</summary>
    private void Enqueue(IReadOnlyList<JournalEntry> committed)
    {
        foreach (var entry in committed)
        {
            if (!_queue.Writer.TryWrite(entry))
            {
                End(StreamEnd.Slow);
                return;
            }
        }
    }

    private async Task<bool> ReplayAsync(ulong until, CancellationToken cancellation)
    {
        while (_position < until)
        {
            var page = _journal.Read(_position, Page);
            if (page.Count == 0 || page[0].Sequence != _position + 1)
            {
                // What comes next was pruned while this subscriber read: resuming by its cursor says gone.
                _end = StreamEnd.Slow;
                return false;
            }
            foreach (var entry in page.TakeWhile(e => e.Sequence <= until))
            {
                if (!await DeliverAsync(entry, cancellation))
                {
                    return false;
                }
            }
            await sink.FlushAsync(cancellation);
        }
        return true;
    }

    private async Task FollowAsync(CancellationToken cancellation)
    {
        while (await WaitAsync(cancellation))
        {
            while (_queue.Reader.TryRead(out var entry))
            {
                if (entry is null ? !MayStay() : entry.Sequence > _position && !await DeliverAsync(entry, cancellation))
                {
                    return;
                }
                await BookmarkIfDueAsync(cancellation);
            }
            await sink.FlushAsync(cancellation);
        }
    }

    /// <summary>True when there is something to read; sends bookmarks while there is not.</summary>
    private async Task<bool> WaitAsync(CancellationToken cancellation)
    {
        var waiting = _queue.Reader.WaitToReadAsync(cancellation).AsTask();
        while (WithCursors)
        {
            try
            {
                var due = bookmarkInterval - clock.GetElapsedTime(_lastBookmark);
                return await waiting.WaitAsync(due > TimeSpan.Zero ? due : TimeSpan.Zero, clock, cancellation);
            }
            catch (TimeoutException)
            {
                await BookmarkIfDueAsync(cancellation);
                await sink.FlushAsync(cancellation);
            }
        }
        return await waiting;
    }

    /// <summary>Also between events: a filter may keep a busy host's subscriber waiting for ever, and bookmarks are how its cursor moves on.</summary>
    private async ValueTask BookmarkIfDueAsync(CancellationToken cancellation)
    {
        if (WithCursors && clock.GetElapsedTime(_lastBookmark) >= bookmarkInterval)
        {
            _lastBookmark = clock.GetTimestamp();
            await SendAsync(MgmtEvent.Global("bookmark"), cancellation);
        }
    }

    /// <summary>False when the stream is over.</summary>
    private async Task<bool> DeliverAsync(JournalEntry entry, CancellationToken cancellation)
    {
        _position = entry.Sequence;
        var happened = entry.Event;
        if (happened is { Name: "domain-delete", Subject: "" } && happened["vm"] == destination.Name.Value && IsRemoved)
        {
            _end = StreamEnd.Removed;
            return false;
        }
        if (!MayStay())
        {
            return false;
        }
        if (IsForDestination(happened) && filter.Matches(happened.Subject, happened.Name) && visibility.Sees(subscriber, happened))
        {
            await SendAsync(happened, cancellation);
        }
        return true;
    }

    private bool IsForDestination(MgmtEvent happened) => destination.Class == VmClass.AdminVM || happened.Subject == destination.Name.Value;

    private bool MayStay()
    {
        // Nobody may open a stream of a VM that is not there; its domain-delete, soon to come, ends this one.
        if (IsRemoved || visibility.MayOpen(subscriber, destination.Name))
        {
            return true;
        }
        _end = StreamEnd.Denied;
        return false;
    }

    private ValueTask SendAsync(MgmtEvent happened, CancellationToken cancellation) =>
        sink.SendAsync(happened, WithCursors ? new EventCursor(_journal.Epoch, _position) : null, cancellation);
}
