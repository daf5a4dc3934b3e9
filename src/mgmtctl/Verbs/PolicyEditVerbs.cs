using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>policy list, get, replace, remove, history, revert, edit: the rule files by the calls of the daemon.</summary>
internal static class PolicyEditVerbs
{
    public const string RuleFile = "RULEFILE";
    public const string Version = "VERSION";
    public static readonly Option<bool> Include = new("--include") { Description = "An include file, include/NAME, instead of a rule file" };

    private const string IncludePrefix = "include/";

    private static readonly Argument<string> Name = new(RuleFile) { Description = "The file, without .policy" };
    private static readonly Option<bool> Force = new("--force") { Description = "Also when you could not change it back" };
    private static readonly Option<string> Token = new("--token")
    {
        Description = "The version that is meant: what get --token wrote, new for no file, any (default)",
        HelpName = "TOKEN",
        DefaultValueFactory = _ => "any",
    };

    public static IEnumerable<Command> All(CommandLine cli) => [List(cli), Get(cli), Replace(cli), Remove(cli), History(cli), Revert(cli), Edit(cli)];

    private static DaemonRuleFiles Files(Run run) => new(run, run.Get(Force));

    private static Command List(CommandLine cli) => cli.Verb("list", "List the rule files", ["mgmtctl policy list", "mgmtctl policy list --include"], [Include], async (run, token) =>
    {
        var names = await Files(run).LinesAsync("List", "", run.Get(Include), token);
        run.Output.Table(["name"], [.. names.Select(name => new object?[] { name })]);
        return ExitCode.Done;
    });

    private static Command Get(CommandLine cli)
    {
        var only = new Option<bool>("--token") { Description = "Write the token of the version, for replace --token, instead of the content" };
        return cli.Verb("get", "Write a file to standard output", ["mgmtctl policy get 30-user", "mgmtctl policy get mgmt-vm-ro --include"], [Name, Include, only], async (run, token) =>
        {
            var (version, bytes) = await Files(run).ReadAsync(run.Get(Name)!, run.Get(Include), token);
            if (run.Get(only))
            {
                run.Output.Value("token", version);
            }
            else
            {
                await run.Output.BytesAsync(bytes, token);
            }
            return ExitCode.Done;
        });
    }

    private static Command Replace(CommandLine cli)
    {
        var file = new Argument<string>("FILE") { Description = "The new content, - for standard input (default)", DefaultValueFactory = _ => "-" };
        string[] examples = ["mgmtctl policy replace 30-user my-rules", "mgmtctl policy replace 30-user - --token new < my-rules"];
        return cli.Verb("replace", "Write a file, if the policy as a whole stays valid", examples, [Name, file, Token, Force, Include], async (run, token) =>
        {
            using var content = new MemoryStream();
            await using (var stream = run.Get(file) is "-" ? run.Terminal.OpenInput() : File.OpenRead(run.Get(file)!))
            {
                await stream.CopyToAsync(content, token);
            }
            await Files(run).ReplaceAsync(run.Get(Name)!, run.Get(Include), run.Get(Token)!, content.ToArray(), token);
            return ExitCode.Done;
        });
    }

    private static Command Remove(CommandLine cli) =>
        cli.Verb("remove", "Remove a file, if the policy as a whole stays valid", ["mgmtctl policy remove 30-user"], [Name, Token, Force, Include], async (run, token) =>
        {
            await Files(run).RemoveAsync(run.Get(Name)!, run.Get(Include), run.Get(Token)!, token);
            return ExitCode.Done;
        });

    private static Command History(CommandLine cli) =>
        cli.Verb("history", "List the versions of a file that were replaced or removed", ["mgmtctl policy history 30-user"], [Name, Include], async (run, token) =>
        {
            var lines = await Files(run).LinesAsync("History", run.Get(Name)!, run.Get(Include), token);
            run.Output.Table(["id", "time", "source", "token"], [.. lines.Select(line => line.Split(' ', 4)).Select(words => new object?[] { words[0], words.ElementAtOrDefault(1), words.ElementAtOrDefault(2), words.ElementAtOrDefault(3) })]);
            return ExitCode.Done;
        });

    private static Command Revert(CommandLine cli)
    {
        var id = new Argument<string>(Version) { Description = "The version, as history lists it" };
        return cli.Verb("revert", "Bring a version of a file back", ["mgmtctl policy revert 30-user 20260102T030405678Z"], [Name, id, Force, Include], async (run, token) =>
        {
            await Files(run).RevertAsync(run.Get(Name)!, run.Get(Include), run.Get(id)!, token);
            return ExitCode.Done;
        });
    }

    private static Command Edit(CommandLine cli) =>
        cli.Verb("edit", "Edit a file, or a new one, with $VISUAL, $EDITOR or vi", ["mgmtctl policy edit 30-user", "mgmtctl policy edit include/mgmt-host-ro", "mgmtctl policy edit 30-user --policy-dir ./policy.d"],
            [Name, Force, Include, PolicyInputs.Directories, PolicyInputs.SystemInfo], (run, token) =>
        {
            var name = run.Get(Name)!;
            var include = run.Get(Include) || name.StartsWith(IncludePrefix, StringComparison.Ordinal);
            IRuleFiles files = run.Get(PolicyInputs.Directories) is { Length: > 0 } given ? new DirectoryRuleFiles(run, PolicyRules.Of(given)) : Files(run);
            return new PolicyEditing(run, files, name.StartsWith(IncludePrefix, StringComparison.Ordinal) ? name[IncludePrefix.Length..] : name, include).RunAsync(token);
        });
}
