using System.Collections.Immutable;

namespace Mgmt.Policy;

// The pure language: what qrexec would answer.
public sealed partial class PolicySet
{
    /// <summary>Answers a request in the pure language: the first rule that matches decides, and no match is a denial.</summary>
    /// <param name="request">The question.</param>
    /// <param name="domains">The VMs it is about.</param>
    public PolicyDecision Evaluate(PolicyRequest request, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(domains);
        var valid = CheckedRequest.Check(request, domains);
        if (valid.Error is not null)
            return new PolicyDecision.RequestError(valid.Error) { Notify = true };
        var order = Find(request, valid.Source, valid.Target, domains);
        if (order < 0)
            return new PolicyDecision.Deny(DenyReason.NoMatch, "no matching rule found") { Notify = true };
        var rule = _rules[order];
        return rule.Action switch
        {
            PolicyAction.Allow => Allow(rule, valid.Source, rule.Redirect?.Text ?? valid.Target, domains),
            PolicyAction.Ask => Ask(rule, request, valid.Source, domains),
            _ => new PolicyDecision.Deny(DenyReason.Rule, rule.DeniedText) { Rule = rule.Text, Notify = rule.Notify },
        };
    }

    /// <summary>
    /// Answers a request that somebody was asked about and said yes to, with the target that was chosen: allowed only if the rules
    /// still ask and offer that target, or allow the request to go there. Whatever they say now counts, not what they said when it was asked.
    /// </summary>
    /// <param name="request">The question.</param>
    /// <param name="chosen">The target, spelled as in <see cref="PolicyDecision.Ask.Targets"/>.</param>
    /// <param name="domains">The VMs it is about.</param>
    public PolicyDecision EvaluateChosen(PolicyRequest request, string chosen, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(chosen);
        ArgumentNullException.ThrowIfNull(domains);
        var decision = Evaluate(request, domains);
        var isOffered = decision switch
        {
            PolicyDecision.Ask ask => ask.Targets.Contains(chosen, StringComparer.Ordinal),
            PolicyDecision.Allow allow => allow.Target == chosen,
            _ => true,
        };
        if (!isOffered)
            return new PolicyDecision.Deny(DenyReason.Other, $"target {chosen} is not a valid choice") { Rule = decision.Rule, Notify = true };
        if (decision is not PolicyDecision.Ask)
            return decision;
        var valid = CheckedRequest.Check(request, domains);
        return Allow(_rules[Find(request, valid.Source, valid.Target, domains)], valid.Source, chosen, domains);
    }

    internal int Find(PolicyRequest request, string source, string target, IDomainDirectory domains)
    {
        var matcher = new TokenMatcher(_index.Ids, domains);
        var sources = new TokenSet();
        matcher.Source(source, ref sources);
        var targets = new TokenSet();
        matcher.Target(target, source, ref targets);
        return _index.FirstMatch(request, sources, targets);
    }

    private static PolicyDecision Allow(Rule rule, string source, string target, IDomainDirectory domains)
    {
        if (!target.StartsWith('@') && !Spelling.IsDom0(target) && domains.Find(target) is null)
            target = Spelling.Default;
        if (target == Spelling.Default)
            return Deny(rule, DenyReason.NoTarget, $"allowed by {rule.Text}, but neither the caller nor the rule names a target that exists");
        if (target == Spelling.DispVm)
        {
            if (domains.Find(source)?.DefaultDispvm is not { } template)
                return Deny(rule, DenyReason.NoDispvm, $"allowed by {rule.Text}, but {source} has no default template for disposables");
            target = Spelling.DispVmPrefix + template;
        }
        else if (target.StartsWith(Spelling.DispVmPrefix, StringComparison.Ordinal) && domains.Find(target[Spelling.DispVmPrefix.Length..]) is not { TemplateForDispvms: true })
        {
            return Deny(rule, DenyReason.NotDispvmTemplate, $"not a template for dispvm: {target[Spelling.DispVmPrefix.Length..]}");
        }
        else if (target == Spelling.AdminVm)
        {
            target = Spelling.Dom0;
        }
        if (!rule.Autostart && !IsRunning(target, domains))
            return Deny(rule, DenyReason.Autostart, $"target {target} is denied because it would require autostart", rule.Notify);
        return new PolicyDecision.Allow(target, UserOf(rule), rule.Autostart) { Rule = rule.Text, Notify = rule.Notify, Refused = Refusal(source, target, domains) };
    }

    // What qrexec finds out only when it carries the call out.
    private static string? Refusal(string source, string target, IDomainDirectory domains)
    {
        if (source == target)
            return "a VM cannot call itself";
        if (domains.Find(target) is not { Type: "RemoteVM" } remote)
            return null;
        if (string.IsNullOrEmpty(remote.RelayVm))
            return $"{target}: no relay is set";
        return string.IsNullOrEmpty(remote.TransportRpc) ? $"{target}: no transport service is set" : null;
    }

    private PolicyDecision Ask(Rule rule, PolicyRequest request, string source, IDomainDirectory domains)
    {
        IEnumerable<string> choices = rule.Redirect is { } redirect
            ? [redirect.Kind == TokenKind.AdminVm ? Spelling.Dom0 : redirect.Text]
            : new AskTargets(_rules, _index, _fold, domains).Collect(request, source);
        ImmutableArray<string> targets = [.. choices.Where(target => rule.Autostart || IsRunning(target, domains))];
        if (targets.IsEmpty)
            return Deny(rule, DenyReason.NoAskTargets, $"asked for by {rule.Text}, but no target is available to choose from");
        var preselected = rule.DefaultTarget is { } token ? DefaultTarget(token, source, domains) : null;
        if (preselected is not null && !targets.Contains(preselected, StringComparer.Ordinal))
            preselected = null;
        return new PolicyDecision.Ask(targets, preselected, UserOf(rule), rule.Autostart) { Rule = rule.Text, Notify = rule.Notify };
    }

    private static string? DefaultTarget(Token token, string source, IDomainDirectory domains) => token.Kind switch
    {
        TokenKind.AdminVm => Spelling.Dom0,
        TokenKind.DispVm => domains.Find(source)?.DefaultDispvm is { } template ? Spelling.DispVmPrefix + template : null,
        _ => token.Text,
    };

    // An empty user= is as if there were none.
    private static string? UserOf(Rule rule) => rule.User is { Length: > 0 } user ? user : null;

    private static bool IsRunning(string target, IDomainDirectory domains) =>
        Spelling.IsDom0(target) || (!target.StartsWith('@') && domains.Find(target)?.PowerState == "Running");

    private static PolicyDecision.Deny Deny(Rule rule, DenyReason reason, string message, bool notify = true) =>
        new(reason, message) { Rule = rule.Text, Notify = notify };
}
