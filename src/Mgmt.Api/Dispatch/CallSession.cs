namespace Mgmt.Api;

/// <summary>A call between its header and its end.</summary>
public sealed class CallSession
{
    internal CallSession(CallRequest request, Caller caller, long began, CallContext? context, MgmtException? refusal)
    {
        Request = request;
        Caller = caller;
        Began = began;
        Context = context;
        Refusal = refusal;
    }

    /// <summary>The header.</summary>
    public CallRequest Request { get; }

    /// <summary>The number of the call; 0 when it is none.</summary>
    public long Id => Context?.Id ?? 0;

    /// <summary>Whether the call yields events.</summary>
    public bool IsStream => Context?.Row.IsStream == true;

    /// <summary>Whether the content is sent while it is made.</summary>
    public bool StreamsContent => Context is { Row.Content: not ContentKind.Whole };

    /// <summary>Whether a client of Qubes OS that calls through qrexec gets the content without the mark of OK: what it starts is the service itself, and its output.</summary>
    public bool IsUnmarked => Context is { Row.Content: ContentKind.Bytes, Dialect: CallDialect.Admin };

    /// <summary>Whether the payload is typed by somebody, who may take their time.</summary>
    public bool IsInteractive => Context?.Row.IsInteractive == true;

    /// <summary>Whether the payload is to be handed on as it arrives.</summary>
    public bool StreamsPayload => Context?.Row.Payload.Kind == PayloadKind.Stream;

    /// <summary>Whether the call takes a payload at all.</summary>
    public bool TakesPayload => Context?.Row.Payload.Kind is not (null or PayloadKind.None);

    /// <summary>The most bytes the request may have, header included.</summary>
    public int CapBytes => Context?.Row.Payload.CapBytes ?? PayloadRule.DefaultCapBytes;

    internal Caller Caller { get; }

    internal long Began { get; }

    internal CallContext? Context { get; }

    internal MgmtException? Refusal { get; }
}
