namespace Mgmt.Api;

/// <summary>What became of a question: the chosen target, or null and why not; Outcome is the word that agents are told.</summary>
public sealed record AskAnswer(string? Target, string Outcome, string Reason)
{
    internal static AskAnswer Yes(string target) => new(target, "allow", "allowed by the user");

    internal static AskAnswer No { get; } = new(null, "deny", "denied by the user");

    internal static AskAnswer InvalidChoice(string target) => new(null, "deny", $"target {target} is not a valid choice");

    internal static AskAnswer Unintelligible { get; } = new(null, "deny", "the agent's answer was neither allow:TARGET nor deny");

    internal static AskAnswer TimedOut { get; } = new(null, "timeout", "no answer in time");

    internal static AskAnswer NoAgent { get; } = new(null, "no-agent", "no agent");

    internal static AskAnswer AgentGone { get; } = new(null, "no-agent", "no agent: the last one went away");

    internal static AskAnswer TooMany { get; } = new(null, "busy", "too many questions are pending");

    internal static AskAnswer TooManyOfSource { get; } = new(null, "busy", "too many questions of this source are pending");
}
