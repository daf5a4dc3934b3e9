namespace Mgmt.Policy;

// A management call: may it be served here? Every allow and ask counts as if it said target=@adminvm.
public sealed partial class PolicySet
{
    private const string None = "-";

    /// <summary>
    /// Answers whether a management call may be served. `@default`, `@adminvm`, `dom0` and dom0's UUID as the requested
    /// target are dom0; a name no VM has is asked as `@default`. autostart= and user= have no effect, and a VM may call about itself.
    /// Allocates nothing when a rule allows a call about a VM by its name. Of a service of Qubes OS, which is served in its target, a redirect to anything but the target is refused.
    /// </summary>
    /// <param name="request">The question; with <see cref="PolicyRequest.ValueArgument"/> the first rule for either argument decides.</param>
    /// <param name="domains">The VMs it is about.</param>
    public CallDecision DecideCall(PolicyRequest request, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(domains);
        if (request.Target.StartsWith(Spelling.DispVm, StringComparison.Ordinal))
            return new CallDecision(false, false, None, "a management call takes no disposable as its target", true);
        var valid = CheckedRequest.Check(request, domains);
        if (valid.Error is not null)
            return new CallDecision(false, false, None, valid.Error, true);
        var target = CallTarget(request.Target, valid.Target);
        var order = Find(request, valid.Source, target, domains);
        return order < 0 ? new CallDecision(false, false, None, "no matching rule found", true) : Decide(_rules[order], target, domains, !Spelling.IsServedInTarget(request.Service));
    }

    /// <summary>
    /// Whether some rule for this source and target allows or asks for a value of the request's argument (`+NAME+VALUE`), so that only
    /// who knows the value can decide. Looks at every rule.
    /// </summary>
    /// <param name="request">The question, without a value.</param>
    /// <param name="domains">The VMs it is about.</param>
    public bool DependsOnValue(PolicyRequest request, IDomainDirectory domains)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(domains);
        var valid = CheckedRequest.Check(request, domains);
        if (valid.Error is not null)
            return false;
        var matcher = new TokenMatcher(_index.Ids, domains);
        var sources = new TokenSet();
        matcher.Source(valid.Source, ref sources);
        var targets = new TokenSet();
        matcher.Target(CallTarget(request.Target, valid.Target), valid.Source, ref targets);
        var (from, to) = (new HashSet<int>([.. sources.Ids]), new HashSet<int>([.. targets.Ids]));
        return _rules.Any(rule => rule.Action != PolicyAction.Deny && IsAbout(rule, request.Service)
            && rule.Argument is { } argument && argument.StartsWith(request.Argument + "+", StringComparison.Ordinal)
            && from.Contains(_index.Ids.Of(rule.Source)) && to.Contains(_index.Ids.Of(rule.Target)));
    }

    /// <summary>What the rules see as a call's target. What the caller said decides, not what it was turned into: a name nobody has stays `@default`.</summary>
    internal static string CallTarget(string requested, string valid) =>
        requested.Length == 0 || requested == Spelling.Default || Spelling.IsDom0(requested) ? Spelling.Dom0 : valid;

    private static CallDecision Decide(Rule rule, string target, IDomainDirectory domains, bool servedHere)
    {
        if (rule.Action == PolicyAction.Deny)
            return new CallDecision(false, false, rule.Text, rule.DeniedText, rule.Notify);
        // A service that is served in its target goes nowhere else, dom0 included.
        if (!servedHere && rule.Redirect is { } elsewhere && elsewhere.Text != target)
            return new CallDecision(false, false, rule.Text, $"denied: {rule.Text} redirects to {elsewhere.Text}, and this service is served in its target only", true);
        if (servedHere && rule.Redirect is { Kind: not TokenKind.AdminVm } redirect)
            return new CallDecision(false, false, rule.Text, $"denied: {rule.Text} redirects to {redirect.Text}, and only dom0 serves management calls", true);
        if (rule.Action == PolicyAction.Ask)
            return new CallDecision(false, true, rule.Text, $"asked for by {rule.Text}", rule.Notify) { YesIsDefault = PreselectsYes(rule, target, domains) };
        return new CallDecision(true, false, rule.Text, rule.AllowedText, rule.Notify);
    }

    // There is one choice, the requested target, served in dom0: default_target= may name it either way.
    private static bool PreselectsYes(Rule rule, string target, IDomainDirectory domains) => rule.DefaultTarget switch
    {
        null => false,
        { Kind: TokenKind.AdminVm } => true,
        { } token => token.Text == target || (domains.Find(token.Text) is { } named && named == domains.Find(target)),
    };
}
