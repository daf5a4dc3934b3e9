using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.Wire;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// Serves the calls of one VM. Who calls is the VM whose process holds the channel; what it says of itself is written down and no more. A management call goes the way of a call on the
/// socket; a denial ends with exit code 126 and no output. SOURCE: docs/guest-channels.md, "What a management call gets".
/// </summary>
internal sealed class GuestCalls(VmName vm, Caller caller, int maxInFlight, Dispatcher dispatcher, ServiceCalls services, DaemonSettings settings, TimeProvider clock, ILogger<GuestCalls> log) : IGuestCallHandler
{
    private readonly ConcurrentDictionary<GuestCall, RunningCall> _running = new();
    private int _inFlight;

    public GuestPace Pace { get; } = new(clock);

    /// <summary>What payloads of its calls are held, and may be.</summary>
    internal PayloadBudget Payloads { get; } = new(vm, settings.GuestPayloadBytes);

    /// <summary>How many there may be; one more is refused.</summary>
    internal int MaxInFlight => maxInFlight;

    /// <summary>Those that are in flight now.</summary>
    internal IReadOnlyCollection<RunningCall> Running => [.. _running.Values];

    public async Task ServeAsync(GuestCall call, CancellationToken cancellation)
    {
        var count = Interlocked.Increment(ref _inFlight);
        var request = GuestRequest.Of(call.Request, vm);
        var isServed = false;
        try
        {
            _running[call] = new(call, request, clock.GetTimestamp());
            isServed = await AnswerAsync(call, request, count, cancellation);
        }
        catch (OperationCanceledException error)
        {
            Log.GuestCallerGone(log, vm.Value, call.Request.Service, error.Message);
        }
        catch (Exception error)
        {
            Log.GuestCallFailed(log, vm.Value, error);
        }
        finally
        {
            if (!isServed)
            {
                Pace.Refused();
            }
            _running.TryRemove(call, out _);
            Interlocked.Decrement(ref _inFlight);
        }
    }

    /// <summary>Whether it was served, be it with an error; not, if it was refused or its caller went before.</summary>
    private async Task<bool> AnswerAsync(GuestCall call, CallRequest request, int count, CancellationToken cancellation)
    {
        var who = caller with { Via = call.Transport };
        var isService = call.Request.IsWellFormed && !GuestRequest.IsManagementCall(request);
        if (isService && count <= maxInFlight)
        {
            return await services.ServeAsync(call, vm, request, who, cancellation);
        }
        var session = dispatcher.Open(request, who);
        call.Id = session.Id;
        if (Refusal(call.Request, request, count) is { } refusal)
        {
            dispatcher.Refused(session, who, refusal);
            Log.GuestRefused(log, vm.Value, refusal.Message);
            if (isService || refusal.Code != ErrorCode.MgmtBusyError || count > 2 * maxInFlight)
            {
                await call.RefuseAsync(cancellation);
                return false;
            }
            // A caller that is told so may come back; 126 would mean that it need not.
            await call.AcceptAsync(cancellation);
            await call.EndAsync(Exception(refusal, request), 0, cancellation);
            return false;
        }
        await call.AcceptAsync(cancellation);
        using var held = Payloads.Open();
        ReadOnlyMemory<byte> payload;
        try
        {
            payload = session.StreamsPayload ? default : await PayloadAsync(call, session, request, held, cancellation);
        }
        catch (MgmtException error)
        {
            dispatcher.Refused(session, who, error);
            await call.EndAsync(Exception(error, request), 0, cancellation);
            return false;
        }
        return await RunAsync(call, session, payload, cancellation);
    }

    private async Task<bool> RunAsync(GuestCall call, CallSession session, ReadOnlyMemory<byte> payload, CancellationToken cancellation)
    {
        using var stream = session.StreamsPayload ? new GuestPayload(call, session.IsInteractive ? Timeout.InfiniteTimeSpan : settings.RequestDeadline, clock) : null;
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(call.Gone, cancellation);
        var sink = session.IsStream ? new GuestEventSink(call) : null;
        var content = session.StreamsContent ? new GuestContentSink(call, isMarked: !session.IsUnmarked) : null;
        var result = await dispatcher.RunAsync(session, new(payload, stream?.Reader, sink, () => call.Gone.IsCancellationRequested) { Output = content }, gone.Token);
        switch (result)
        {
            case var _ when content is { HasBegun: true }:
                await call.EndAsync(default, 0, cancellation);
                break;
            case { IsStreamEnd: true }:
                await call.EndAsync(sink!.Rest, 0, cancellation);
                break;
            case { Error.Code: ErrorCode.PermissionDenied }:
                await call.EndAsync(default, ExitCodes.Refused, cancellation);
                return false;
            case { Error: { } error }:
                await call.EndAsync(Exception(error, session.Request), 0, cancellation);
                break;
            default:
                var output = new ArrayBufferWriter<byte>(result.Content.Length + 2);
                ReplyWriter.WriteOk(output, result.Content.Span);
                await call.EndAsync(output.WrittenMemory, 0, cancellation);
                break;
        }
        return session.Id > 0;
    }

    /// <summary>Why a call is not served at all; the others are answered by the dispatcher.</summary>
    private MgmtException? Refusal(TriggerService asked, CallRequest request, int count)
    {
        if (!asked.IsWellFormed || !GuestRequest.FitsHeader(request))
        {
            return new(ErrorCode.ProtocolError, "not a call that can be made");
        }
        if (request.RequestedSource is not null)
        {
            return new(ErrorCode.PermissionDenied, "A management call is not relayed: %s calls for itself only", vm.Value);
        }
        if (count > maxInFlight)
        {
            return new(ErrorCode.MgmtBusyError, "%s has %s calls in flight already, some of callers that are gone; try again when one has ended", vm.Value, maxInFlight.ToString(CultureInfo.InvariantCulture));
        }
        return null;
    }

    /// <summary>The payload in full. ERRORS: ProtocolError over the cap, MgmtBusyError over the VM's budget, MgmtTimeoutError when the end does not come, MgmtCancelledError when the caller goes.</summary>
    private async Task<ReadOnlyMemory<byte>> PayloadAsync(GuestCall call, CallSession session, CallRequest request, PayloadBudget.Share held, CancellationToken cancellation)
    {
        using var input = new GuestPayload(call, session.TakesPayload ? settings.RequestDeadline : GuestPayload.Quiet, clock);
        try
        {
            return await input.ReadAllAsync(session.CapBytes - GuestRequest.HeaderBytes(request), settings.RequestDeadline, held, cancellation);
        }
        catch (MgmtException error) when (error.Code == ErrorCode.MgmtTimeoutError && !session.TakesPayload && !input.HasRead)
        {
            // Somebody typed it at a terminal, which does not end: nothing is what such a call takes.
            return default;
        }
    }

    private ReadOnlyMemory<byte> Exception(MgmtException error, CallRequest request)
    {
        var output = new ArrayBufferWriter<byte>(256);
        ReplyWriter.WriteException(output, error, settings.Debug ? error.ToString() : "", request.Method.StartsWith("admin.", StringComparison.Ordinal));
        return output.WrittenMemory;
    }
}
