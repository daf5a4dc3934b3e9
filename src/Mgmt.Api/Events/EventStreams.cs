using System.Collections.Concurrent;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>The event streams that are open, and what ends or wakes them all.</summary>
public sealed class EventStreams(StateStore store, EventVisibility visibility, TimeProvider clock)
{
    private readonly ConcurrentDictionary<EventStream, byte> _open = new();

    /// <summary>How many are open.</summary>
    public int Count => _open.Count;

    /// <summary>The most streams at a time.</summary>
    public int Limit { get; init; } = 1024;

    /// <summary>The most events that wait for one slow subscriber.</summary>
    public int QueueLength { get; init; } = 4096;

    /// <summary>The time between two bookmarks.</summary>
    public TimeSpan BookmarkInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The policy changed: every stream looks whether it may stay open.</summary>
    public void Recheck()
    {
        foreach (var stream in _open.Keys)
        {
            stream.Wake();
        }
    }

    /// <summary>The daemon stops: every stream ends with a reason.</summary>
    public void Shutdown()
    {
        foreach (var stream in _open.Keys)
        {
            stream.End(StreamEnd.Shutdown);
        }
    }

    /// <summary>After <see cref="Shutdown"/>: waits until the subscribers were told, at most for so long.</summary>
    public async Task ClosedAsync(TimeSpan limit)
    {
        var began = clock.GetTimestamp();
        while (!_open.IsEmpty && clock.GetElapsedTime(began) < limit)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), clock, CancellationToken.None);
        }
    }

    /// <summary>Serves one subscriber until it or the daemon ends the stream. ERRORS: MgmtBusyError before anything was sent.</summary>
    public Task ServeAsync(string subscriber, VmRecord destination, EventFilter filter, IEventSink sink, CancellationToken cancellation) =>
        ServeAsync(subscriber, destination, filter, sink, saysWhyItEnds: true, cancellation);

    /// <summary>The same; subscribers written for Qubes OS are not told why their stream ends.</summary>
    internal async Task ServeAsync(string subscriber, VmRecord destination, EventFilter filter, IEventSink sink, bool saysWhyItEnds, CancellationToken cancellation)
    {
        if (_open.Count >= Limit)
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "There are %s event streams open, the most at a time", Limit.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        var stream = new EventStream(store, visibility, clock, BookmarkInterval, QueueLength, subscriber, destination, filter, sink, saysWhyItEnds);
        _open[stream] = 0;
        try
        {
            await stream.RunAsync(cancellation);
        }
        finally
        {
            _open.TryRemove(stream, out _);
        }
    }
}
