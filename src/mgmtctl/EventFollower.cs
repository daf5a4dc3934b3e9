using System.Runtime.CompilerServices;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli;

/// <summary>
/// An event stream that outlives the daemon: when the connection ends it comes back with since= the last cursor seen, so
/// nothing is lost or told twice. The first connection must work; after that only a refusal ends it.
/// </summary>
internal sealed class EventFollower(Daemon daemon, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <summary>Events as <see cref="Daemon.EventsAsync"/> gives them, those of the stream itself too, connection after connection.</summary>
    public IAsyncEnumerable<MgmtEvent> FollowAsync(string destination, EventFilter filter, CancellationToken cancellationToken) =>
        FollowAsync(since => daemon.EventsAsync(destination, Resume(filter, since), cancellationToken), filter.Since, cancellationToken);

    /// <summary>The same for any stream; <paramref name="open"/> is given the last cursor, of a stream that has them.</summary>
    public async IAsyncEnumerable<MgmtEvent> FollowAsync(
        Func<EventCursor?, IAsyncEnumerable<MgmtEvent>> open, EventCursor? since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var connected = false;
        var pause = FirstPause;
        while (true)
        {
            await using var events = open(since).GetAsyncEnumerator(cancellationToken);
            while (await NextAsync(events, connected) is { } next)
            {
                connected = true;
                pause = FirstPause;
                since = next["cursor"] is { } text ? EventCursor.TryParse(text) ?? since : since;
                yield return next;
                if (IsFinal(next))
                {
                    yield break;
                }
            }
            await Task.Delay(pause, time, cancellationToken);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    /// <summary>Whether the daemon says that there is no coming back.</summary>
    public static bool IsFinal(MgmtEvent value) => value.Name == "stream-closed" && value["reason"] is ("denied" or "removed");

    private static EventFilter Resume(EventFilter filter, EventCursor? since) => new()
    {
        Since = since,
        SinceNow = since is null,
        Subjects = filter.Subjects,
        Patterns = filter.Patterns,
    };

    private static async Task<MgmtEvent?> NextAsync(IAsyncEnumerator<MgmtEvent> events, bool connected)
    {
        try
        {
            return await events.MoveNextAsync() ? events.Current : null;
        }
        catch (MgmtException error) when (connected && IsPassing(error.Code))
        {
            return null;
        }
    }

    /// <summary>A daemon that is being restarted is not there, says nothing, stops in the middle of a frame, or is not ready.</summary>
    public static bool IsPassing(ErrorCode code) =>
        code is ErrorCode.MgmtUnavailableError or ErrorCode.MgmtTimeoutError or ErrorCode.MgmtBusyError or ErrorCode.ProtocolError;
}
