using System.Threading.Channels;
using Mgmt.State;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// Makes <c>policy-notify</c> events of decisions whose rule says notify=yes. A queue of 256: a flood of refused calls loses notices
/// (the audit log has them all) and delays nobody.
/// </summary>
public sealed class PolicyNotices : IAsyncDisposable
{
    private const int QueueLength = 256;
    private readonly Channel<MgmtEvent> _queue = Channel.CreateBounded<MgmtEvent>(new BoundedChannelOptions(QueueLength)
    {
        FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true,
    });
    private readonly StateStore _store;
    private readonly ILogger<PolicyNotices> _log;
    private readonly Task _loop;

    /// <summary>Starts writing.</summary>
    public PolicyNotices(StateStore store, ILogger<PolicyNotices> log)
    {
        _store = store;
        _log = log;
        _loop = Task.Run(WriteAsync);
    }

    /// <summary>Notes a decision if its rule asks for it.</summary>
    public void Tell(CallContext call, string target, PolicyVerdict verdict)
    {
        if (verdict.Notify)
        {
            Tell(call.Source, target, call.Request.Method, verdict);
        }
    }

    /// <summary>The same for a service that a guest calls.</summary>
    public void Tell(CallRequest request, PolicyVerdict verdict) => Tell(request.Source, request.Destination, request.Method, verdict);

    /// <summary>The same for what is no call of ours. Everything is printable ASCII.</summary>
    internal void Tell(string source, string target, string service, PolicyVerdict verdict)
    {
        if (verdict.Notify)
        {
            _queue.Writer.TryWrite(MgmtEvent.Global("policy-notify",
                ("source", source), ("target", target), ("service", service), ("argument", "+" + verdict.Question.Argument),
                ("decision", verdict.Allowed ? "allow" : "deny"), ("rule", verdict.Rule)));
        }
    }

    /// <summary>Writes what is queued and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _loop;
    }

    private async Task WriteAsync()
    {
        while (await _queue.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var batch = new List<MgmtEvent>();
            while (batch.Count < QueueLength && _queue.Reader.TryRead(out var notice))
            {
                batch.Add(notice);
            }
            try
            {
                await _store.ApplyAsync(change => batch.ForEach(change.Emit), CancellationToken.None);
            }
            catch (Exception error)
            {
                // The audit log has them; the next ones may find room again.
                Log.NoticesLost(_log, batch.Count, error);
            }
        }
    }
}
