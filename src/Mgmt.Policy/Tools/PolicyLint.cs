using Mgmt.Core;

namespace Mgmt.Policy;

/// <summary>What loads and yet is probably not meant.</summary>
public sealed partial class PolicyLint
{
    private readonly IDomainDirectory? _domains;
    private readonly List<Rule> _rules;
    private readonly RuleCover _cover;
    private readonly RuleLines _lines;
    private readonly List<PolicyDiagnostic> _warnings = [];
    private readonly HashSet<PolicyDiagnostic> _seen = [];

    private PolicyLint(PolicyLoad load, IDomainDirectory? domains)
    {
        _domains = domains;
        _rules = [.. load.Rules.Where(rule => rule.File != "builtin" && rule.Line > 0)];
        _cover = new RuleCover(_rules, domains);
        _lines = new RuleLines(load.Inputs);
    }

    /// <summary>
    /// Warns of rules that can never match, names, tags and classes that no VM has, words that begin with `$`, management calls that are sent to a VM,
    /// redirects to where an earlier rule denies, and grants to every VM. Works on what could be read when there are errors.
    /// </summary>
    /// <param name="load">What was loaded.</param>
    /// <param name="domains">The VMs; null leaves out what needs them.</param>
    /// <returns>The warnings, each once, in the order of the rules.</returns>
    public static IReadOnlyList<PolicyDiagnostic> Warnings(PolicyLoad load, IDomainDirectory? domains)
    {
        ArgumentNullException.ThrowIfNull(load);
        return new PolicyLint(load, domains).Check();
    }

    private List<PolicyDiagnostic> Check()
    {
        var dead = DeadLines();
        for (var order = 0; order < _rules.Count; order++)
        {
            var rule = _rules[order];
            if (dead.TryGetValue((rule.File, rule.Line), out var taker))
                Warn(rule, "", 0, $"this rule never matches: {taker.Text} comes first and takes everything it could");
            CheckWord(rule, rule.Source, rule.Source.Text, 2);
            CheckWord(rule, rule.Target, rule.Target.Text, 3);
            if (rule.Redirect is { } redirect)
                CheckWord(rule, redirect, "target=" + redirect.Text, 4);
            if (rule.DefaultTarget is { } preselected)
                CheckWord(rule, preselected, "default_target=" + preselected.Text, 4);
            CheckSource(rule);
            CheckRedirect(rule, order);
            CheckGrant(rule);
        }
        return _warnings;
    }

    // A file that is included for many services has a rule per service for one line: the line is dead when all of them are.
    private Dictionary<(string File, int Line), Rule> DeadLines()
    {
        var dead = new Dictionary<(string, int), Rule>();
        var live = new HashSet<(string, int)>();
        for (var order = 0; order < _rules.Count; order++)
        {
            var rule = _rules[order];
            var first = _cover.First(rule, rule.Target);
            if (first < order)
                dead.TryAdd((rule.File, rule.Line), _rules[first]);
            else
                live.Add((rule.File, rule.Line));
        }
        foreach (var line in live)
            dead.Remove(line);
        return dead;
    }

    private void CheckWord(Rule rule, Token token, string word, int field)
    {
        if (token.Kind == TokenKind.Name && token.Value.StartsWith('$'))
            Warn(rule, word, field, $"{Spelling.Quote(token.Text)} is a VM name here: write @ for $");
        else if (token.Kind == TokenKind.Type && !Enum.GetNames<VmClass>().Contains(token.Value))
            Warn(rule, word, field, $"no VM can have the class {Spelling.Quote(token.Value)}: expected {string.Join(", ", Enum.GetNames<VmClass>())}");
        else if (_domains is not null && Unknown(token, _domains) is { } message)
            Warn(rule, word, field, message);
    }

    private static string? Unknown(Token token, IDomainDirectory domains) => token.Kind switch
    {
        TokenKind.Name when domains.Find(token.Value) is null => $"there is no VM {Spelling.Quote(token.Value)}",
        TokenKind.Uuid when domains.Find(token.Text) is null => $"there is no VM with the UUID {Spelling.Quote(token.Value)}",
        TokenKind.DispVmOf when domains.Find(token.Value) is null => $"there is no VM {Spelling.Quote(token.Value)}",
        TokenKind.DispVmOf when domains.Find(token.Value) is { TemplateForDispvms: false } => $"{Spelling.Quote(token.Value)} is no template for disposables",
        TokenKind.Tag or TokenKind.DispVmTag when !domains.All.Any(domain => domain.Tags.Contains(token.Value)) => $"no VM has the tag {Spelling.Quote(token.Value)}",
        _ => null,
    };

    private void CheckSource(Rule rule)
    {
        if (rule.Source.Kind is TokenKind.DispVmOf or TokenKind.DispVmTag)
            Warn(rule, rule.Source.Text, 2, $"this rule never matches: no caller is {rule.Source.Text}");
    }

    private void CheckRedirect(Rule rule, int order)
    {
        if (rule.Redirect is not { } redirect)
            return;
        if (rule.Service is { } service && Spelling.IsManagement(service))
        {
            if (redirect.Kind != TokenKind.AdminVm)
                Warn(rule, "target=" + redirect.Text, 4, $"target={redirect.Text} sends a management call away: such a call is refused, only dom0 serves it");
            return;
        }
        var direct = _cover.First(rule, redirect);
        if (direct < order && _rules[direct].Action == PolicyAction.Deny)
            Warn(rule, "target=" + redirect.Text, 4, $"target={redirect.Text} leads past {_rules[direct].Text}, which denies that target: where a call is sent is not asked about again");
    }

    private void CheckGrant(Rule rule)
    {
        if (rule.Action != PolicyAction.Allow || rule.Source.Kind is not (TokenKind.Any or TokenKind.AnyVm))
            return;
        if (rule.Service is { } service && Spelling.IsManagement(service))
        {
            if (rule.Redirect is null or { Kind: TokenKind.AdminVm } && rule.Target.Kind is TokenKind.Any or TokenKind.AnyVm or TokenKind.AdminVm)
                Warn(rule, rule.Source.Text, 2, $"every VM may make this management call about {rule.Target.Text}");
        }
        else if ((rule.Redirect ?? rule.Target).Kind is TokenKind.AdminVm || (rule.Redirect is null && rule.Target.Kind == TokenKind.Any))
        {
            Warn(rule, rule.Source.Text, 2, "every VM may make this call to dom0");
        }
    }

    private void Warn(Rule rule, string word, int field, string message)
    {
        var warning = new PolicyDiagnostic(rule.File, rule.Line, _lines.Column(rule, word, field), message);
        if (_seen.Add(warning))
            _warnings.Add(warning);
    }
}
