using System.CommandLine;
using Mgmt.Core;

namespace Mgmt.Cli.Verbs;

/// <summary>completion: the script; and the hidden verb it asks for words.</summary>
internal static class CompletionVerb
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    // Raw string: the shell's own braces and quotes stay readable.
    private const string Bash = """
        # bash completion for mgmtctl; load it with: source <(mgmtctl completion bash)
        _mgmtctl() {
            local IFS=$'\n'
            COMPREPLY=($("$1" words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
        }
        complete -o default -F _mgmtctl mgmtctl
        """;

    public static Command Script(CommandLine cli)
    {
        var shell = new Argument<string>("SHELL") { Description = "bash" };
        shell.AcceptOnlyFromAmong("bash");
        return cli.Verb("completion", "Write a script that completes verbs, options and names of VMs", ["source <(mgmtctl completion bash)"], [shell], (run, _) =>
        {
            run.Output.Line(Bash);
            return Task.FromResult(ExitCode.Done);
        });
    }

    public static Command Words(CommandLine cli)
    {
        var words = new Argument<string[]>("WORD") { Arity = ArgumentArity.ZeroOrMore };
        var verb = cli.Verb("words", "What the last word can be", ["mgmtctl words -- start wo"], [words], async (run, token) =>
        {
            foreach (var word in await CompleteAsync(cli, run.Get(words)!, token))
            {
                run.Output.Line(word);
            }
            return ExitCode.Done;
        });
        verb.Hidden = true;
        return verb;
    }

    private static async Task<IEnumerable<string>> CompleteAsync(CommandLine cli, string[] words, CancellationToken cancellationToken)
    {
        var last = words.Length == 0 ? "" : words[^1];
        var before = words.Length == 0 ? [] : words[..^1];
        var parse = cli.Parse(before);
        var verb = parse.CommandResult.Command;
        var options = Options(verb);
        var candidates = before.Length > 0 && options.FirstOrDefault(option => option.Name == before[^1] && option.Arity.MaximumNumberOfValues > 0) is { } open
            ? Choices(open).Concat(open.HelpName == Symbols.VmName ? await VmsAsync(cli.Connect(parse), cancellationToken) : [])
            : last.StartsWith('-') ? options.Select(option => option.Name)
            : verb.Subcommands.Where(command => !command.Hidden).Select(command => command.Name)
                .Concat(verb.Arguments.SelectMany(Choices))
                .Concat(verb.Arguments.Any(TakesVm) ? await VmsAsync(cli.Connect(parse), cancellationToken) : []);
        return candidates.Where(word => word.StartsWith(last, StringComparison.Ordinal)).Order(StringComparer.Ordinal);
    }

    private static bool TakesVm(Argument argument) => argument.Name is Symbols.VmName or "DEST" or "SOURCE" or "TARGET";

    private static Option[] Options(Command verb) =>
        [.. verb.Options, .. verb.Parents.OfType<Command>().SelectMany(Options).Where(option => option.Recursive)];

    private static IEnumerable<string> Choices(Symbol symbol) =>
        symbol.GetCompletions(System.CommandLine.Completions.CompletionContext.Empty).Select(item => item.Label);

    /// <summary>Nothing when the daemon is not there: completion never complains and never makes the shell wait long.</summary>
    private static async Task<IEnumerable<string>> VmsAsync(Daemon daemon, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            var lines = await daemon.LinesAsync("mgmt.vm.List", "", Daemon.Host, patience.Token);
            return lines.Select(line => line.Split(' ')[0]);
        }
        catch (Exception error) when (error is MgmtException or OperationCanceledException)
        {
            return [];
        }
    }
}
