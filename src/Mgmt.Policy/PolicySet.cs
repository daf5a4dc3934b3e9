using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Mgmt.Policy;

/// <summary>A compiled policy: immutable, and safe to ask from any thread.</summary>
public sealed partial class PolicySet
{
    private readonly ImmutableArray<Rule> _rules;
    private readonly RuleIndex _index;
    private readonly bool _fold;

    internal PolicySet(ImmutableArray<Rule> rules, PolicyOrigin origin, PolicyOptions options)
    {
        _rules = rules;
        _fold = options.FoldManagementServices;
        _index = new RuleIndex(rules.AsSpan(), _fold);
        Origin = origin;
        Digest = ComputeDigest(origin.Inputs);
        Files = [.. origin.Inputs.Select(file => file.Display)];
    }

    /// <summary>SHA-256, 64 lower-case hexadecimal digits, over the names and bytes of all files the set depends on.</summary>
    public string Digest { get; }

    /// <summary>The files the set depends on, named as in <see cref="RuleLocation.File"/>, each once, in load order.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>How many rules there are, the built-in one included.</summary>
    public int RuleCount => _rules.Length;

    internal ImmutableArray<Rule> Rules => _rules;

    internal RuleIndex Index => _index;

    /// <summary>Kept with the set: what decides can be shown as it was written, also when the files have changed since.</summary>
    internal PolicyOrigin Origin { get; }

    /// <summary>What loads but does not do what it seems to: in a folded set, management rules that send a call elsewhere than dom0.</summary>
    public IReadOnlyList<PolicyDiagnostic> Warnings => [.. _rules.Where(SendsManagementElsewhere).Select(DescribeElsewhere)];

    /// <summary>Loads a set, or tells every mistake in it. Throws nothing, whatever the bytes.</summary>
    /// <param name="source">Where the files are.</param>
    /// <param name="options">How they become a set.</param>
    public static PolicyLoad Load(PolicySource source, PolicyOptions options)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        return new PolicyLoader(source, options).Load();
    }

    internal bool IsAbout(Rule rule, string service) => rule.Service is null || RuleIndex.SameService(rule.Service, service, _fold);

    private bool SendsManagementElsewhere(Rule rule) => _fold && rule.Redirect is { Kind: not TokenKind.AdminVm } && rule.Service is { } service && Spelling.IsManagement(service);

    private static PolicyDiagnostic DescribeElsewhere(Rule rule) =>
        new(rule.File, rule.Line, 1, $"target={rule.Redirect?.Text} sends a management call away: such a call is refused, only dom0 serves it");

    private static string ComputeDigest(ImmutableArray<PolicyFile> inputs)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in inputs)
        {
            // The length keeps the end of one file and the name of the next apart.
            hash.AppendData(Encoding.UTF8.GetBytes($"{file.Display}\0{file.Bytes.Length}\0"));
            hash.AppendData(file.Bytes.Span);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
