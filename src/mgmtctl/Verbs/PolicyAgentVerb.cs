using System.CommandLine;
using Mgmt.Cli.Asking;

namespace Mgmt.Cli.Verbs;

/// <summary>policy agent: somebody at a terminal whom ask rules can ask.</summary>
internal static class PolicyAgentVerb
{
    public static Command Create(CommandLine cli) =>
        cli.Verb("agent", "Answer the questions of ask rules at this terminal: a digit allows a target, n or Esc denies", ["mgmtctl policy agent"], [], (run, token) =>
            run.Terminal is { InputIsTerminal: true, OutIsTerminal: true } && !run.Output.Json
                ? new PolicyAgent(run).RunAsync(token)
                : throw new UsageException("policy agent asks somebody at a terminal; standard input and output have to be one"));
}
