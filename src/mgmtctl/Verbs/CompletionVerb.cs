using System.CommandLine;

namespace Mgmt.Cli.Verbs;

/// <summary>completion: the script; and the hidden verb it asks for words.</summary>
internal static class CompletionVerb
{
    // Raw string: the shell's own braces and quotes stay readable. Readline takes : and = for ends of words, so they are put together
    // again, and what is already there of the word is taken off the answers.
    private const string Bash = """
        # bash completion for mgmtctl; load it with: source <(mgmtctl completion bash)
        _mgmtctl() {
            local IFS=$'\n' words=() word glue= last breaks=${COMP_WORDBREAKS//[^:=]/}
            for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
                if [[ ${#words[@]} -gt 0 && ( $word == [:=] || -n $glue ) ]]; then words[-1]+=$word; else words+=("$word"); fi
                [[ $word == [:=] ]] && glue=1 || glue=
            done
            COMPREPLY=($("$1" words -- "${words[@]}" 2>/dev/null))
            last=${words[-1]}
            [[ -n $breaks ]] && COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*["$breaks"]}"}"}")
            [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=] ]] && compopt -o nospace 2>/dev/null
            return 0
        }
        complete -o default -F _mgmtctl mgmtctl
        """;

    public static Command Script(CommandLine cli)
    {
        var shell = new Argument<string>("SHELL") { Description = "bash" };
        shell.AcceptOnlyFromAmong("bash");
        return cli.Verb("completion", "Write a script that completes verbs, options, and the names of what there is", ["source <(mgmtctl completion bash)"], [shell], (run, _) =>
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
        var names = new CompletionNames(cli, parse);
        var next = names.Next(verb);
        var candidates = before.Length > 0 && options.FirstOrDefault(option => option.Name == before[^1] && TakesValue(option)) is { } open
            ? Choices(open).Concat(await names.OfOptionAsync(open, last, cancellationToken))
            : last.StartsWith('-') ? options.Select(option => option.Name)
            : verb.Subcommands.Where(command => !command.Hidden).Select(command => command.Name)
                .Concat(next is null ? [] : Choices(next).Concat(await names.OfArgumentAsync(next, last, cancellationToken)));
        return candidates.Where(word => word.StartsWith(last, StringComparison.Ordinal)).Order(StringComparer.Ordinal);
    }

    /// <summary>A switch could be given true or false, and nobody does.</summary>
    private static bool TakesValue(Option option) => option.Arity.MaximumNumberOfValues > 0 && option.ValueType != typeof(bool);

    private static Option[] Options(Command verb) =>
        [.. verb.Options, .. verb.Parents.OfType<Command>().SelectMany(Options).Where(option => option.Recursive)];

    private static IEnumerable<string> Choices(Symbol symbol) =>
        symbol.GetCompletions(System.CommandLine.Completions.CompletionContext.Empty).Select(item => item.Label);
}
