using Mgmt.Policy;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Decides about services that are not management calls: the pure language, and for an ask the agents, who choose among the targets that the rules offer.</summary>
public sealed class ServicePolicy(PolicyGate policy, StateStore store, PendingQuestions questions)
{
    /// <summary>What the policy says of it; asks when a rule says so. Ends with the token, when nobody waits any more.</summary>
    public async Task<ServiceDecision> DecideAsync(FrontEndRequest request, CancellationToken cancellation)
    {
        var pure = Pure(request);
        var result = policy.Evaluate(pure, null);
        var isAsk = result.Decision is PolicyDecision.Ask;
        string? refusal = null;
        if (result.Decision is PolicyDecision.Ask ask)
        {
            var chosen = request.AssumeYes ? Name(result.Directory, request.Target) : null;
            if (chosen is null && !request.JustEvaluate)
            {
                (chosen, refusal) = await ChooseAsync(request, ask, result.Directory, cancellation);
            }
            result = chosen is null ? result : policy.Evaluate(pure, chosen);
        }
        var allow = result.Decision as PolicyDecision.Allow;
        refusal ??= request.JustEvaluate || allow is null ? null : allow.Refused ?? Loopback(request, allow, result.Directory);
        var allowed = allow is not null && refusal is null;
        var reason = refusal ?? (isAsk && allowed ? $"allowed by the user {allow!.Rule}" : Reason(result.Decision));
        var verdict = new PolicyVerdict(allowed, result.Decision.Rule ?? "-", reason, result.Decision.Notify, Question(request), result.StaleSince) { IsAsk = isAsk };
        return new(verdict, allowed ? allow : null, result.Directory);
    }

    internal static PolicyRequest Pure(FrontEndRequest request) => new(request.Service, request.Argument, request.Source, request.Target) { RequestedSource = request.RequestedSource };

    internal static string Name(IDomainDirectory directory, string word) => FrontEndAnswer.IsDom0(word) ? "dom0" : directory.Find(word)?.Name ?? word;

    internal static CallQuestion Question(FrontEndRequest request) => new(request.Service, request.Argument[1..], request.Target);

    /// <summary>What somebody chose, or why nothing; a VM that was replaced meanwhile was not chosen.</summary>
    private async Task<(string? Chosen, string? Refusal)> ChooseAsync(FrontEndRequest request, PolicyDecision.Ask ask, SnapshotDirectory before, CancellationToken cancellation)
    {
        var source = Name(before, request.RequestedSource ?? request.Source);
        var answer = await questions.AskAsync(new(source, request.Service, request.Argument, ask.Targets, ask.DefaultTarget, ask.Rule ?? "-")
        {
            Icons = AskIcons.For(before.State, [source, .. ask.Targets]),
        }, cancellation);
        if (answer.Target is not { } chosen)
        {
            return (null, answer == AskAnswer.No ? $"{answer.Reason} {ask.Rule}" : answer.Reason);
        }
        var subject = new CallQuestion(request.Service, request.Argument, chosen);
        return AskSubject.Of(before.State, source, subject) == AskSubject.Of(store.Current, source, subject) ? (chosen, null) : (null, "not the VM any more that was asked about");
    }

    /// <summary>In any spelling: by its UUID a VM would reach itself past qrexec.</summary>
    private static string? Loopback(FrontEndRequest request, PolicyDecision.Allow allow, SnapshotDirectory directory) =>
        Name(directory, request.RequestedSource ?? request.Source) == Name(directory, allow.Target) ? "a VM cannot call itself" : null;

    private static string Reason(PolicyDecision decision) => decision switch
    {
        PolicyDecision.Deny deny => deny.Message,
        PolicyDecision.RequestError error => error.Message,
        PolicyDecision.Allow allow => $"allowed by {allow.Rule}",
        _ => $"asked for by {decision.Rule}",
    };
}

/// <summary>What was decided; Allow only when it may be carried out. Directory: the VMs it was decided about.</summary>
public sealed record ServiceDecision(PolicyVerdict Verdict, PolicyDecision.Allow? Allow, SnapshotDirectory Directory);
