using System.CommandLine;
using Mgmt.Cli.Rendering;
using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy lint</summary>
internal static class PolicyLintVerb
{
    private static readonly Argument<string[]> Files = new("FILE") { Description = "Files to check as part of the policy; without any, the whole policy", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<bool> Strict = new("--strict") { Description = "Exit with 1 when there are warnings, too" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("lint", "Tell every mistake in rule files, and what loads but is probably not meant",
            ["mgmtctl policy lint", "mgmtctl policy lint --strict --policy-dir ./policy.d", "mgmtctl policy lint 30-user.policy --system-info vms.json"],
            [Files, Strict, PolicyInputs.Directories, PolicyInputs.SystemInfo], ActAsync);

    private static async Task<int> ActAsync(Run run, CancellationToken cancellationToken)
    {
        var rules = await PolicyInputs.RulesAsync(run, cancellationToken);
        var domains = await DomainsAsync(run, cancellationToken);
        var files = run.Get(Files)!;
        var reports = files.Length == 0
            ? [CheckAll(rules, domains)]
            : files.Select(file => CheckFile(rules, file, domains)).ToList();
        var found = reports.SelectMany(report => report.Errors.Select(error => ("error", error)).Concat(report.Warnings.Select(warning => ("warning", warning)))).ToList();
        Write(run.Output, found);
        var failed = found.Any(item => item.Item1 == "error") || (run.Get(Strict) && found.Count > 0);
        return failed ? ExitCode.Refused : ExitCode.Done;
    }

    /// <summary>Without a daemon everything is checked that does not need the VMs.</summary>
    private static async Task<IDomainDirectory?> DomainsAsync(Run run, CancellationToken cancellationToken)
    {
        try
        {
            return await PolicyInputs.DomainsAsync(run, cancellationToken);
        }
        catch (MgmtException error) when (run.Get(PolicyInputs.SystemInfo) is null)
        {
            run.Tell($"names, tags and templates are not checked, because the VMs are not known: {error.Message}");
            return null;
        }
    }

    // The daemon knows what is wrong with its files; its rules in force may be older ones, and have no mistakes.
    private static LintReport CheckAll(PolicyRules rules, IDomainDirectory? domains)
    {
        var report = PolicyLint.Check(rules.Source, PolicyInputs.Options, domains);
        return rules.Document is { Mistakes.Count: > 0 } document ? new LintReport(document.Mistakes, report.Warnings) : report;
    }

    private static LintReport CheckFile(PolicyRules rules, string file, IDomainDirectory? domains)
    {
        var path = Path.GetFullPath(file);
        var inPlace = rules.Directories.Any(directory => path.StartsWith(directory + "/", StringComparison.Ordinal));
        var below = path.EndsWith(".policy", StringComparison.Ordinal) ? "" : "include";
        var place = inPlace ? path : Path.Join(rules.Directories[^1], below, Path.GetFileName(path));
        var report = PolicyLint.CheckFile(rules.Source, PolicyInputs.Options, place, File.ReadAllBytes(path), domains);
        return new LintReport([.. report.Errors.Select(error => error with { File = file })], [.. report.Warnings.Select(warning => warning with { File = file })]);
    }

    private static void Write(Output output, List<(string Severity, PolicyDiagnostic Diagnostic)> found)
    {
        if (output.Json)
        {
            output.Table(["file", "line", "column", "severity", "message"],
                [.. found.Select(item => new object?[] { item.Diagnostic.File, (long)item.Diagnostic.Line, (long)item.Diagnostic.Column, item.Severity, item.Diagnostic.Message })]);
            return;
        }
        foreach (var (severity, diagnostic) in found)
        {
            output.Line(PlainText.OneLine($"{diagnostic.File}:{diagnostic.Line}:{diagnostic.Column}: {severity}: {diagnostic.Message}"));
        }
    }
}
