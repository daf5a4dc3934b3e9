using System.Text;

namespace Mgmt.Policy.Tests;

/// <summary>Sets made of a few lines.</summary>
internal static class Sets
{
    public const string Root = "/etc/mgmt/policy.d";

    public static readonly PolicyOptions Pure = new();
    public static readonly PolicyOptions Daemon = new() { FoldManagementServices = true, BuiltinRule = true };

    public static PolicyLoad Load(PolicyOptions options, params (string Name, string Text)[] files) =>
        PolicySet.Load(PolicySource.FromFiles(files.ToDictionary(file => file.Name, file => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(file.Text)), Root), options);

    public static PolicySet Make(PolicyOptions options, params string[] lines)
    {
        var load = Load(options, ("30-x.policy", string.Join('\n', lines)));
        Assert.That(load.Errors, Is.Empty);
        return load.Set!;
    }

    public static PolicySet Make(params string[] lines) => Make(Pure, lines);

    public static PolicyDecision Ask(PolicySet set, string source, string target, string service = "s", string argument = "", TestDomains? domains = null) =>
        set.Evaluate(new PolicyRequest(service, argument, source, target), domains ?? TestDomains.Office());

    /// <summary>The error of a set of one line, as LINE:COLUMN: MESSAGE.</summary>
    public static IReadOnlyList<PolicyDiagnostic> Errors(string text) => Load(Pure, ("30-x.policy", text)).Errors;
}
