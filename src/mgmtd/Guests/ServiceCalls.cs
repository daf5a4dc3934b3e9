using System.Globalization;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Policy;
using Mgmt.Qrexec;
using Mgmt.State;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// Carries out calls of services that are not management calls: decided by the policy, then run on the host or in another VM. What is refused ends with 126, a service that is not there with 127,
/// what cannot be carried out with 125. SOURCE: docs/services.md.
/// </summary>
internal sealed class ServiceCalls(
    ServicePolicy policy, HostServices host, GuestServices guests, DisposableVms disposables, StateStore store, ServiceSettings settings, ActiveCalls calls, AuditLog audit, PolicyNotices notices, TimeProvider clock, ILogger<ServiceCalls> log)
{
    private static readonly TimeSpan GiveUpDeadline = TimeSpan.FromSeconds(5);
    private readonly ServiceLimits _limits = new(settings.PerService, settings.PerVm);

    /// <summary>Serves a call to its end: whether it was accepted at all. ERRORS: OperationCanceledException when the caller goes.</summary>
    internal async Task<bool> ServeAsync(GuestCall call, VmName vm, CallRequest request, Caller caller, CancellationToken stopping)
    {
        var (id, began) = (calls.NextId(), clock.GetTimestamp());
        call.Id = id;
        using var deadline = new CancellationTokenSource(settings.Deadline, clock);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(call.Gone, deadline.Token, stopping);
        using var active = calls.Enter(id, request, caller, over.Token);
        PolicyVerdict? verdict = null;
        var stage = Stage.Asked;
        void Note(string outcome) => audit.Write(new(id, request, active.Target, caller, verdict, outcome, clock.GetElapsedTime(began)));
        try
        {
            using var place = _limits.TryEnter(request.Method, vm.Value, out var full) ?? throw new MgmtException(ErrorCode.MgmtBusyError, "%s", full);
            var asked = new FrontEndRequest(vm.Value, call.Request.Target, request.Method, "+" + request.Argument) { RequestedSource = request.RequestedSource };
            var decision = await policy.DecideAsync(asked, active.Token);
            verdict = decision.Verdict;
            notices.Tell(request, verdict);
            var allow = decision.Allow ?? throw new MgmtException(ErrorCode.PermissionDenied, "Denied by policy: %s", verdict.Reason);
            audit.EnsureWritable();
            await using var route = await RouteAsync(new(call, request, vm, allow, decision.Directory, active), active.Token);
            Note("stream");
            stage = Stage.Accepting;
            await AcceptAsync(call, route.Service, active.Token);
            stage = Stage.Accepted;
            var code = route.Service is { } service ? await service.RunAsync(call, active.Token) : ExitCodes.NotFound;
            Note(string.Create(CultureInfo.InvariantCulture, $"exit {code}"));
            stage = Stage.Told;
            await call.EndAsync(default, code, active.Token);
        }
        catch (OperationCanceledException) when (stage == Stage.Told)
        {
            // It has ended, and its caller just before it was told.
        }
        catch (OperationCanceledException) when (!call.Gone.IsCancellationRequested)
        {
            Note(active.WasCancelled ? nameof(ErrorCode.MgmtCancelledError) : deadline.IsCancellationRequested ? nameof(ErrorCode.MgmtTimeoutError) : nameof(ErrorCode.MgmtUnavailableError));
            await GiveUpAsync(call, stage);
        }
        catch (OperationCanceledException)
        {
            Note(nameof(ErrorCode.MgmtCancelledError));
            throw;
        }
        catch (Exception error) when (error is MgmtException or ServiceBrokenException or IOException or TimeoutException or QrexecProtocolException)
        {
            Note((error as MgmtException)?.Code.ToString() ?? nameof(ErrorCode.MgmtUnavailableError));
            Log.ServiceFailed(log, vm.Value, request.Method, error.Message);
            await GiveUpAsync(call, stage);
        }
        return stage is Stage.Accepted or Stage.Told;
    }

    /// <summary>Where it goes, ready to be run. ERRORS: those of starting the VM, and ServiceBrokenException.</summary>
    private async Task<Route> RouteAsync(AllowedCall call, CancellationToken cancellation)
    {
        var source = call.Request.RequestedSource ?? call.Vm.Value;
        if (call.IsForHost)
        {
            call.Active.GoesTo("dom0");
            return new(host.Find(new(call.Request.Method, call.Request.Argument, source, call.Call.Request.Target)), null);
        }
        var made = call.DispvmTemplate is { } template ? await DisposableAsync(template, call.Vm, cancellation) : null;
        var route = new Route(null, made is null ? null : () => disposables.EndAsync(made, CancellationToken.None));
        try
        {
            var target = made?.Name ?? call.Target;
            call.Active.GoesTo(target.Value);
            route.Guest = await guests.OpenAsync(target, (call.Vm.Value, call.Active.Id), new(call.Allow.User, $"QUBESRPC {call.ServiceAtTarget} {source}"), call.Allow.Autostart || made is not null, cancellation);
            return route;
        }
        catch
        {
            await route.DisposeAsync();
            throw;
        }
    }

    /// <summary>For this call alone: it is gone when the call is over.</summary>
    private Task<VmRecord> DisposableAsync(VmName template, VmName requester, CancellationToken cancellation) => disposables.CreateAsync(
        store.Current.Find(template) ?? throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", template.Value), requester.Value, cancellation);

    private async Task AcceptAsync(GuestCall call, IService? service, CancellationToken cancellation)
    {
        call.HasErrors = service is GuestService || settings.Host.ErrorsToCaller;
        await call.AcceptAsync(cancellation);
    }

    /// <summary>What was accepted can not be refused any more, and what was only half accepted is told nothing: its channel ends.</summary>
    private async Task GiveUpAsync(GuestCall call, Stage stage)
    {
        using var limit = new CancellationTokenSource(GiveUpDeadline, clock);
        switch (stage)
        {
            case Stage.Asked:
                await call.RefuseAsync(limit.Token);
                break;
            case Stage.Accepted:
                await call.EndAsync(default, ExitCodes.Failed, limit.Token);
                break;
            default:
                break;
        }
    }

    private enum Stage
    {
        Asked,
        Accepting,
        Accepted,
        Told,
    }
}
