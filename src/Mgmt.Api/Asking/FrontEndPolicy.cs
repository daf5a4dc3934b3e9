using Mgmt.Policy;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// Decides for a qrexec front end, in the place of qrexec's policy daemon. Services that are not management calls by the pure language; management calls as the call
/// itself will be, so that what is allowed is then delivered here and decided again, with its payload.
/// </summary>
public sealed class FrontEndPolicy(PolicyGate policy, StateStore store, CallTable table, PendingQuestions questions, RememberedAnswers remembered, ServicePolicy services, PolicyNotices notices, AuditLog audit, ActiveCalls calls, TimeProvider clock)
{
    /// <summary>The answer, lines without a last LF. Ends with the token, when the front end went away.</summary>
    public async Task<string> DecideAsync(FrontEndRequest request, Caller caller, CancellationToken cancellation)
    {
        var began = clock.GetTimestamp();
        var (answer, verdict) = IsFromDom0(request, caller)
            ? (FrontEndAnswer.Deny, Refusal(request, "a front end does not speak for dom0"))
            : IsManagementCall(request.Service) ? await CallAsync(request, cancellation) : await ServiceAsync(request, cancellation);
        if (!request.JustEvaluate)
        {
            // Of a management call that is allowed the call itself will tell.
            if (!verdict.Allowed || !IsManagementCall(request.Service))
            {
                notices.Tell(request.Source, request.Target, request.Service, verdict);
            }
            var asked = new CallRequest(request.Service, request.Argument[1..], request.RequestedSource ?? request.Source, false, request.Target);
            audit.Write(new(calls.NextId(), asked, null, caller, verdict, "policy", clock.GetElapsedTime(began)));
        }
        return answer;
    }

    /// <summary>
    /// Whether the call would be allowed, if somebody who is asked says yes to the target; null when <paramref name="guiVm"/> does not have both VMs' windows.
    /// </summary>
    public bool? Evaluate(FrontEndRequest request, string? guiVm)
    {
        if (guiVm is not null && new[] { request.Source, request.Target }.Any(name => Targets.FindVm(store.Current, name)?.Tags.Any(tag => tag.Value == "guivm-" + guiVm) != true))
        {
            return null;
        }
        if (IsManagementCall(request.Service))
        {
            return Ask(request, out var verdict) is not null && (verdict.Allowed || verdict.IsAsk);
        }
        var (decision, directory, _) = policy.Evaluate(ServicePolicy.Pure(request), null);
        return decision is PolicyDecision.Allow || (decision is PolicyDecision.Ask ask && ask.Targets.Contains(ServicePolicy.Name(directory, request.Target), StringComparer.Ordinal));
    }

    private async Task<(string Answer, PolicyVerdict Verdict)> CallAsync(FrontEndRequest request, CancellationToken cancellation)
    {
        if (Ask(request, out var verdict) is not { } row)
        {
            return (FrontEndAnswer.Deny, verdict);
        }
        if (request.JustEvaluate)
        {
            return (verdict.Allowed || (verdict.IsAsk && request.AssumeYes) ? FrontEndAnswer.JustAllow : FrontEndAnswer.Deny, verdict);
        }
        if (!verdict.Allowed && row.ValueArgument is not null && (verdict.IsAsk || policy.DependsOnValue(Source(request), verdict.Question)))
        {
            verdict = verdict with { Allowed = true, Reason = "the call decides, with its value", IsAsk = true, Notify = false };
        }
        else if (verdict is { IsAsk: true, Allowed: false })
        {
            verdict = request.AssumeYes ? verdict with { Allowed = true, Reason = $"asked for by {verdict.Rule}, yes assumed" } : await AskAsync(request, verdict, cancellation);
        }
        return (verdict.Allowed ? FrontEndAnswer.ManagementCall(request.Target) : FrontEndAnswer.Deny, verdict);
    }

    /// <summary>The row of the call and the first verdict; null, and why, when there is no such call to be made.</summary>
    private CallRow? Ask(FrontEndRequest request, out PolicyVerdict verdict)
    {
        try
        {
            if (request.RequestedSource is not null)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "a management call is not relayed");
            }
            var row = table.Find(request.Service, out _);
            var argument = request.Argument[1..];
            var target = Targets.Asked(store.Current, new(request.Service, argument, request.Source, false, request.Target.Length == 0 ? "@default" : request.Target));
            verdict = policy.Decide(Source(request), new(row.Name, row.AskedArgument?.Invoke(argument) ?? argument, target));
            verdict = verdict.IsAsk && row.AskIsDenial ? CallAsking.Refused(verdict, $"ask counts as deny for {row.Name}") with { IsAsk = false } : verdict;
            return row;
        }
        catch (MgmtException error)
        {
            verdict = Refusal(request, error.Message);
            return null;
        }
    }

    /// <summary>Puts the question that the call would put, and remembers the yes for it.</summary>
    private async Task<PolicyVerdict> AskAsync(FrontEndRequest request, PolicyVerdict verdict, CancellationToken cancellation)
    {
        var (source, asked, state) = (Source(request), verdict.Question, store.Current);
        var subject = AskSubject.Of(state, source, asked);
        var answer = await questions.AskAsync(new(source, request.Service, "+" + asked.Argument, [asked.Target], verdict.YesIsDefault ? asked.Target : null, verdict.Rule)
        {
            Icons = AskIcons.For(state, [source, asked.Target]),
        }, cancellation);
        if (answer.Target is null)
        {
            return CallAsking.Refused(verdict, answer.Reason);
        }
        var after = policy.Decide(source, asked);
        if (AskSubject.Of(store.Current, source, asked) != subject)
        {
            return CallAsking.Refused(after, "not the VM any more that was asked about");
        }
        if (after.IsAsk)
        {
            remembered.Remember(subject);
            after = after with { Allowed = true, Reason = $"allowed by the user {after.Rule}" };
        }
        return after;
    }

    private async Task<(string Answer, PolicyVerdict Verdict)> ServiceAsync(FrontEndRequest request, CancellationToken cancellation)
    {
        var (verdict, allow, directory) = await services.DecideAsync(request, cancellation);
        return (!verdict.Allowed ? FrontEndAnswer.Deny : request.JustEvaluate ? FrontEndAnswer.JustAllow : FrontEndAnswer.Allow(request, allow!, directory), verdict);
    }

    private string Source(FrontEndRequest request) => Targets.CanonicalSource(store.Current, request.Source);

    private static PolicyVerdict Refusal(FrontEndRequest request, string reason) => new(false, "-", reason, false, ServicePolicy.Question(request), null);

    private static bool IsManagementCall(string service) => service.StartsWith("mgmt.", StringComparison.Ordinal) || service.StartsWith("admin.", StringComparison.Ordinal);

    private static bool IsFromDom0(FrontEndRequest request, Caller caller) => caller.Role != CallerRole.Any && (CallerRights.IsDom0(request.Source) || (request.RequestedSource is { } relayed && CallerRights.IsDom0(relayed)));
}
