using System.IO.Pipelines;

namespace Mgmt.Api;

/// <summary>One call on its way: what was asked, by whom, of whom. Handlers see it only after the policy allowed it.</summary>
public sealed class CallContext
{
    internal CallContext(Dispatcher dispatcher, long id, CallRow row, CallDialect dialect, CallRequest request, Caller caller, HostState state)
    {
        Dispatcher = dispatcher;
        Id = id;
        Row = row;
        Dialect = dialect;
        Request = request;
        Caller = caller;
        State = state;
    }

    /// <summary>Who carries it out, and other calls for it.</summary>
    internal Dispatcher Dispatcher { get; }

    /// <summary>The number of the call since the daemon started.</summary>
    public long Id { get; }

    /// <summary>The call's row.</summary>
    public CallRow Row { get; }

    /// <summary>How the caller named it.</summary>
    public CallDialect Dialect { get; }

    /// <summary>The header.</summary>
    public CallRequest Request { get; }

    /// <summary>Who is connected.</summary>
    public Caller Caller { get; }

    /// <summary>The state as of when the request was there in full.</summary>
    public HostState State { get; internal set; }

    /// <summary>The argument without <c>+</c>, empty when absent.</summary>
    public string Argument => Request.Argument;

    /// <summary>The source of the call; not necessarily a VM that exists.</summary>
    public string Source => Targets.CanonicalSource(State, Request.Source);

    /// <summary>The payload in full; empty for streamed ones.</summary>
    public Untrusted Payload { get; internal set; }

    /// <summary>The payload of a streamed call; null otherwise.</summary>
    public PipeReader? PayloadStream { get; internal set; }

    /// <summary>The line before a streamed payload, where the row has one, without its end; null when it did not come.</summary>
    public string? StreamHead { get; internal set; }

    /// <summary>Where events go, for calls that yield them.</summary>
    public IEventSink? Events { get; internal set; }

    /// <summary>Where the content goes, for calls that send it while they make it.</summary>
    public IContentSink? Output { get; internal set; }

    /// <summary>The VM the call is for; known to exist and to be of the right kind. Null until the policy has allowed the call.</summary>
    public VmRecord Target { get; internal set; } = null!;

    /// <summary>How many items the policy kept from the caller; the audit line has it.</summary>
    internal int Withheld { get; set; }

    /// <summary>Whether the caller speaks <c>mgmt.</c>.</summary>
    public bool IsMgmt => Dialect == CallDialect.Mgmt;

    /// <summary>The payload as ASCII text. ERRORS: QubesValueError.</summary>
    public string PayloadText(string what) => Payload.Ascii(what);
}

/// <summary>Where a stream's events are written.</summary>
public interface IEventSink
{
    /// <summary>Writes one event with its extra last pairs; throws OperationCanceledException when the reader is gone.</summary>
    ValueTask SendAsync(MgmtEvent happened, EventCursor? cursor, CancellationToken cancellation);

    /// <summary>Hands what was written to the transport.</summary>
    ValueTask FlushAsync(CancellationToken cancellation);
}
