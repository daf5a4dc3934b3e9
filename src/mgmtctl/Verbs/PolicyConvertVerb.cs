using System.CommandLine;
using Mgmt.Core;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy convert</summary>
internal static class PolicyConvertVerb
{
    private const string Suffix = ".policy";
    private const string IncludePrefix = "include/";

    private static readonly Option<string> Legacy = new("--legacy-dir")
    {
        Description = "The legacy files, on this host",
        HelpName = "DIR",
        DefaultValueFactory = _ => "/etc/qubes-rpc/policy",
    };

    private static readonly Option<bool> Write = new("--write") { Description = "Write the rule file; without it only what would change is shown" };
    private static readonly Option<bool> Rename = new("--rename-legacy") { Description = "Then rename the legacy files to NAME.rpmsave" };
    private static readonly Option<bool> Force = new("--force") { Description = "Also when the new rules decide otherwise than the legacy files, and when you could not change it back" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("convert", "Write legacy files (SERVICE[+ARG]) as rules, and show what that changes",
            ["mgmtctl policy convert", "mgmtctl policy convert --write --rename-legacy", "mgmtctl policy convert --legacy-dir ./old --policy-dir ./policy.d --system-info vms.json"],
            [Legacy, Write, Rename, Force, PolicyInputs.Directories, PolicyInputs.SystemInfo], ActAsync);

    private static async Task<int> ActAsync(Run run, CancellationToken cancellationToken)
    {
        if (run.Get(Rename) && !run.Get(Write))
        {
            throw new UsageException("--rename-legacy needs --write");
        }
        var legacy = new LegacyDirectory(run.Get(Legacy)!);
        var rules = await PolicyInputs.RulesAsync(run, cancellationToken);
        var domains = await PolicyInputs.DomainsAsync(run, cancellationToken);
        var conversion = LegacyConversion.Of(rules.Source, PolicyInputs.Options, legacy.Path, domains);
        if (conversion.FilePath.Length == 0)
        {
            run.Tell($"nothing to convert: {legacy.Path} adds nothing to the rules");
            if (run.Output.Json)
            {
                PolicyDiffVerb.Show(run, []);
            }
        }
        else if (!Show(run, conversion, domains))
        {
            return ExitCode.Refused;
        }
        if (!run.Get(Write))
        {
            return ExitCode.Done;
        }
        if (conversion.FilePath.Length > 0)
        {
            await WriteAsync(run, rules, conversion, cancellationToken);
        }
        if (run.Get(Rename))
        {
            legacy.Rename(name => run.Tell($"renamed {name}"));
        }
        return ExitCode.Done;
    }

    // Standard output has what changes for callers; what the legacy files would have said otherwise is a reason to stop.
    private static bool Show(Run run, LegacyConversion conversion, IDomainDirectory domains)
    {
        run.Tell($"{conversion.FileName}: {conversion.RuleCount} rule{(conversion.RuleCount == 1 ? "" : "s")} of the legacy files{(conversion.LeftOut > 0 ? $", without {conversion.LeftOut} that never match" : "")}");
        PolicyDiffVerb.Show(run, PolicyDiff.Between(conversion.Now, conversion.After, domains));
        var wrong = PolicyDiff.Between(conversion.Intended, conversion.After, domains).ToList();
        foreach (var change in wrong)
        {
            run.Tell($"not as the legacy files: {change.Request.Service}{change.Request.Argument} from {change.Request.Source} to {change.Request.Target}: {change.Before.Decision} becomes {change.After.Decision}");
        }
        if (wrong.Count == 0 || run.Get(Force))
        {
            return true;
        }
        run.Tell("nothing was changed; --force converts all the same");
        return false;
    }

    private static async Task WriteAsync(Run run, PolicyRules rules, LegacyConversion conversion, CancellationToken cancellationToken)
    {
        var (name, include) = NameOf(conversion, rules);
        IRuleFiles files = rules.Document is null ? new DirectoryRuleFiles(run, rules) : new DaemonRuleFiles(run, run.Get(Force));
        if (conversion.Before.Length > 0 && files is DirectoryRuleFiles onDisk)
        {
            onDisk.Keep(name, include, conversion.Before.Span);
        }
        var token = conversion.Before.Length > 0 ? PolicyToken.Of(conversion.Before.Span) : await TokenAsync(files, name, include, cancellationToken);
        await files.ReplaceAsync(name, include, token, conversion.Text, cancellationToken);
        run.Tell($"wrote {conversion.FileName}");
    }

    // An empty file and none look alike so far.
    private static async Task<string> TokenAsync(IRuleFiles files, string name, bool include, CancellationToken cancellationToken)
    {
        try
        {
            return (await files.ReadAsync(name, include, cancellationToken)) is { Bytes.Length: 0 } empty ? empty.Token : "new";
        }
        catch (MgmtException error) when (error.Code == ErrorCode.QubesException)
        {
            return "new";
        }
    }

    private static (string Name, bool Include) NameOf(LegacyConversion conversion, PolicyRules rules)
    {
        var below = conversion.FilePath.StartsWith(rules.Directories[^1] + "/", StringComparison.Ordinal) ? conversion.FilePath[(rules.Directories[^1].Length + 1)..] : "/";
        if (below.StartsWith(IncludePrefix, StringComparison.Ordinal) && !below[IncludePrefix.Length..].Contains('/'))
        {
            return (below[IncludePrefix.Length..], true);
        }
        return !below.Contains('/') && below.EndsWith(Suffix, StringComparison.Ordinal)
            ? (below[..^Suffix.Length], false)
            : throw new MgmtException(ErrorCode.QubesException, "%s has the line !compat-4.0 and is not a file that is edited; put it into one of %s", conversion.FilePath, rules.Directories[^1]);
    }
}
