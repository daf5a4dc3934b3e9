namespace Mgmt.Api;

/// <summary>The event stream. SOURCE: docs/events.md.</summary>
public sealed class EventsCalls(EventStreams streams) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("Events", CallTarget.Any, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.Optional("filter lines `KEY=VALUE`"), CallDialects.Both,
            "What happens, as it happens: dom0: on the whole host; a VM: to that VM.", Events) { Returns = "EVENT stream", IsStream = true, AskIsDenial = true },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Events(CallContext call, CancellationToken cancellation)
    {
        if (!call.IsMgmt && !call.Payload.IsEmpty)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "unexpected payload");
        }
        await streams.ServeAsync(call.Source, call.Target, EventFilter.Parse(call.Payload.Bytes.Span), call.Events!, call.IsMgmt, cancellation);
        return Content.Empty;
    }
}
