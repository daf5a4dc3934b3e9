using System.Globalization;
using System.Threading.Channels;

namespace Mgmt.Api;

/// <summary>
/// One agent at the end of a stream: <c>connection-established</c>, then <c>policy-ask</c> for each question that it may answer, those that wait already
/// first, and <c>policy-ask-ended</c> when there is nothing to answer any more. An agent that does not keep up is told so and closed: none misses a question unnoticed.
/// </summary>
internal sealed class AgentStream(string source, Func<bool> mayStay, Func<AskQuestion, bool> mayAnswer, int queueLength)
{
    private readonly Channel<Func<MgmtEvent>> _queue = Channel.CreateBounded<Func<MgmtEvent>>(new BoundedChannelOptions(queueLength) { SingleReader = true });
    private StreamEnd? _end;

    internal string Source => source;

    internal bool MayAnswer(AskQuestion question) => mayAnswer(question);

    /// <summary>Tells it of a question; false when its queue is full, and then its stream ends.</summary>
    internal bool Offer(AskQuestion question, Func<TimeSpan> left) => Enqueue(() => MgmtEvent.Global("policy-ask",
        ("id", question.Id), ("source", question.Source), ("service", question.Service), ("argument", question.Argument), ("targets", string.Join(' ', question.Targets)),
        ("default", question.DefaultTarget ?? ""), ("rule", VmStarter.Ascii(question.Rule)),
        // When it is sent, not when it was put here.
        ("left_ms", ((long)Math.Max(0, left().TotalMilliseconds)).ToString(CultureInfo.InvariantCulture))));

    internal bool Withdraw(AskQuestion question, string outcome) => Enqueue(() => MgmtEvent.Global("policy-ask-ended", ("id", question.Id), ("outcome", outcome)));

    internal void End(StreamEnd reason)
    {
        _end ??= reason;
        _queue.Writer.TryComplete();
    }

    internal async Task RunAsync(IEventSink sink, CancellationToken cancellation)
    {
        await SendAsync(sink, MgmtEvent.Global("connection-established"), cancellation);
        while (await _queue.Reader.WaitToReadAsync(cancellation))
        {
            while (_queue.Reader.TryRead(out var next))
            {
                if (!mayStay())
                {
                    _end = StreamEnd.Denied;
                    _queue.Writer.TryComplete();
                    break;
                }
                await sink.SendAsync(next(), null, cancellation);
            }
            await sink.FlushAsync(cancellation);
            if (_end == StreamEnd.Denied)
            {
                break;
            }
        }
        await SendAsync(sink, MgmtEvent.Global("stream-closed", ("reason", _end!.Value.ToString().ToLowerInvariant())), cancellation);
    }

    private bool Enqueue(Func<MgmtEvent> next)
    {
        if (_queue.Writer.TryWrite(next))
        {
            return true;
        }
        End(StreamEnd.Slow);
        return false;
    }

    private static async Task SendAsync(IEventSink sink, MgmtEvent happened, CancellationToken cancellation)
    {
        await sink.SendAsync(happened, null, cancellation);
        await sink.FlushAsync(cancellation);
    }
}
