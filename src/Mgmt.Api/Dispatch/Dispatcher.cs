using Mgmt.State;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// A call's way: known? shaped as its row says? allowed? target there and of the right kind? then its handler, the audit line,
/// the reply. Whatever happens, there is a result.
/// </summary>
public sealed class Dispatcher(CallTable table, StateStore store, PolicyGate policy, CallAsking asking, PolicyNotices notices, AuditLog audit, ActiveCalls calls, TimeProvider clock, ILogger<Dispatcher> log)
{
    /// <summary>
    /// Looks at a header before the payload is read. Never throws; what is wrong with it becomes the call's result.
    /// </summary>
    public CallSession Open(CallRequest request, Caller caller)
    {
        var began = clock.GetTimestamp();
        try
        {
            CallerRights.Check(caller, request);
            var row = table.Find(request.Method, out var dialect);
            row.Argument.Check(request.Argument, dialect == CallDialect.Mgmt);
            return new(request, caller, began, new CallContext(this, calls.NextId(), row, dialect, request, caller, store.Current), null);
        }
        catch (MgmtException refusal)
        {
            return new(request, caller, began, null, refusal);
        }
    }

    /// <summary>The audit line of an error found by the transport: of a request that never had a header (null), or never its end.</summary>
    public void Refused(CallSession? session, Caller caller, MgmtException error) =>
        audit.Write(new(session?.Context?.Id ?? calls.NextId(), session?.Request, null, caller, null, error.Code.ToString(), session is null ? TimeSpan.Zero : clock.GetElapsedTime(session.Began)));

    /// <summary>Carries a call out. Never throws.</summary>
    public async ValueTask<CallResult> RunAsync(CallSession session, CallInput input, CancellationToken cancellation)
    {
        PolicyVerdict? verdict = null;
        string? target = null;
        ActiveCall? active = null;
        try
        {
            if (session.Context is not { } call)
            {
                throw session.Refusal!;
            }
            if (input.Stream is { } stream && call.Row.Payload.HeadBytes is var headBytes and > 0)
            {
                // The policy may be asked about what it names.
                call.StreamHead = await StreamHead.ReadAsync(stream, headBytes, cancellation);
            }
            // The payload may have taken its time.
            call.State = store.Current;
            call.Payload = new Untrusted(input.Payload);
            call.PayloadStream = input.Stream;
            if (input.Stream is null)
            {
                call.Row.Payload.Check(input.Payload.Length, call.IsMgmt);
            }
            target = Targets.Asked(call.State, call.Request);
            verdict = policy.Decide(call, target);
            if (verdict.IsAsk)
            {
                active = calls.Enter(call, cancellation);
                verdict = await asking.SettleAsync(call, target, verdict, active);
            }
            notices.Tell(call, target, verdict);
            if (!verdict.Allowed)
            {
                throw new MgmtException(ErrorCode.PermissionDenied, "Denied by policy: %s from %s to %s", call.Request.Method, call.Source, call.Request.Destination);
            }
            call.Target = Targets.Resolve(call.State, call.Row, call.Request, target);
            call.Events = input.Events is { } sink ? new AuditedSink(sink, () => Note(session, target, verdict, "stream")) : null;
            call.Output = input.Output is { } output ? new AuditedContent(output, () => Note(session, target, verdict, "stream")) : null;
            active ??= calls.Enter(call, cancellation);
            var content = await ActAsync(call, active, input);
            return Finish(session, target, verdict, "OK", new(content, null, call.Row.IsStream));
        }
        catch (MgmtException error)
        {
            return Finish(session, target, verdict, error.Code.ToString(), new(default, error, false));
        }
        catch (StreamBrokenException broken)
        {
            var incident = Incident(session, broken.InnerException!);
            // A stream that has begun ends; it never turns into an exception.
            return Finish(session, target, verdict, $"{nameof(ErrorCode.MgmtInternalError)} {incident}", new(default, null, true));
        }
        catch (OperationCanceledException) when (session.IsStream || session.StreamsContent || cancellation.IsCancellationRequested || active?.Token.IsCancellationRequested == true)
        {
            return Finish(session, target, verdict, nameof(ErrorCode.MgmtCancelledError), new(default, Cancelled(active), session.Context?.Row.IsStream == true));
        }
        catch (Exception error)
        {
            var incident = Incident(session, error);
            var failure = new MgmtException(error, ErrorCode.MgmtInternalError, "Internal error; look for incident %s in the log of mgmtd", incident);
            return Finish(session, target, verdict, $"{nameof(ErrorCode.MgmtInternalError)} {incident}", new(default, failure, false));
        }
        finally
        {
            active?.Dispose();
        }
    }

    /// <summary>One call of a batch: as if it came alone, but only those that read, and answer at once. Never throws.</summary>
    internal ValueTask<CallResult> RunInBatchAsync(CallRequest request, Caller caller, CancellationToken cancellation)
    {
        var session = Open(request, caller);
        if (session.Context is { Row: { } row } && (row.Access != CallAccess.Read || row.IsStream || row.Payload.Kind is PayloadKind.Stream or PayloadKind.Required))
        {
            var refusal = new MgmtException(ErrorCode.ProtocolError, "a batch takes calls that only read and need no payload, not %s", request.Method);
            Refused(session, caller, refusal);
            return new(new CallResult(default, refusal, false));
        }
        return RunAsync(session, new CallInput(default, null, null, () => false), cancellation);
    }

    private async ValueTask<ReadOnlyMemory<byte>> ActAsync(CallContext call, ActiveCall active, CallInput input)
    {
        if (call.Row.Access == CallAccess.Read)
        {
            return await call.Row.Handler(call, active.Token);
        }
        audit.EnsureWritable();
        if (input.CallerIsGone())
        {
            // End of input and a killed client look alike; a change nobody waits for any more is not begun.
            throw new MgmtException(ErrorCode.MgmtCancelledError, "The caller went away before %s began; nothing was done", call.Request.Method);
        }
        return await call.Row.Handler(call, call.Row.IsCancellable ? active.Token : CancellationToken.None);
    }

    private string Incident(CallSession session, Exception error)
    {
        var incident = Guid.NewGuid().ToString("N")[..12];
        Log.Incident(log, incident, session.Request.Method, session.Request.Source, session.Request.Destination, error);
        return incident;
    }

    private static MgmtException Cancelled(ActiveCall? active) => active?.WasCancelled == true
        ? new(ErrorCode.MgmtCancelledError, "The call was cancelled")
        : new(ErrorCode.MgmtCancelledError, "The daemon is shutting down, or the caller went away");

    private CallResult Finish(CallSession session, string? target, PolicyVerdict? verdict, string outcome, CallResult result)
    {
        Note(session, target, verdict, outcome);
        return result;
    }

    private void Note(CallSession session, string? target, PolicyVerdict? verdict, string outcome) =>
        audit.Write(new(session.Context?.Id ?? calls.NextId(), session.Request, target, session.Caller, verdict, outcome, clock.GetElapsedTime(session.Began)) { Withheld = session.Context?.Withheld ?? 0 });
}
