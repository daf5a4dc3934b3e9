using System.CommandLine;
using Mgmt.Cli.Formats;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>agent: any command of the guest agent.</summary>
internal static class AgentVerb
{
    private const string Facts = "facts";

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var what = new Argument<string>("COMMAND") { HelpName = "COMMAND", Description = $"{Facts}: what the guest last said, from the daemon's memory; or one of: {string.Join(", ", Names)}" };
        what.CompletionSources.Add(_ => Names.Append(Facts).Select(name => new System.CommandLine.Completions.CompletionItem(name)));
        var words = new Argument<string[]>("NAME=VALUE") { Description = "The arguments, again for each of a list; or one JSON object", Arity = ArgumentArity.ZeroOrMore };
        string[] examples =
        [
            "mgmtctl agent work facts", "mgmtctl agent work osinfo --json", "mgmtctl agent work network-interfaces", "mgmtctl agent work fstrim minimum=1048576",
            "mgmtctl agent work exec path=/bin/ls arg=-l arg=/tmp capture-output=true", """mgmtctl agent work set-vcpus '{"vcpus":[{"logical-id":1,"online":false}]}'""",
        ];
        return cli.Verb("agent", "Ask the guest agent of a VM", examples, [vm, what, words], async (run, token) =>
        {
            using var answer = JsonFacts.Parse(await AskAsync(run, run.Get(vm)!, run.Get(what)!, run.Get(words)!, token));
            if (run.Output.Json)
            {
                run.Output.Element(answer.RootElement);
            }
            else
            {
                run.Output.Facts([.. JsonFacts.Flatten(answer.RootElement)]);
            }
            return ExitCode.Done;
        });
    }

    private static Task<ReadOnlyMemory<byte>> AskAsync(Run run, string vm, string what, string[] words, CancellationToken cancellationToken)
    {
        if (what == Facts)
        {
            return words.Length == 0 ? run.Daemon.CallAsync("mgmt.vm.GuestFacts", "", vm, "", cancellationToken) : throw new UsageException("facts takes no arguments");
        }
        var command = Find(what);
        return run.Daemon.CallAsync(new RequestHeader("mgmt.vm.agent." + command.Call, "", Daemon.Host, DestinationKind.Name, vm), AgentWords.Payload(command, words), cancellationToken);
    }

    /// <summary>As they are offered: the agent's own names without <c>guest-</c> and <c>get-</c>.</summary>
    internal static IReadOnlyList<string> Names { get; } =
        [.. AgentCommands.All.Where(command => command.IsCallable).Select(command => command.Name["guest-".Length..].Replace("get-", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    private static AgentCommand Find(string name) => AgentCommands.FindAny(name) is { IsCallable: true } command
        ? command
        : throw new UsageException($"the guest agent has no command '{name}'; it has {string.Join(", ", Names)}");
}
