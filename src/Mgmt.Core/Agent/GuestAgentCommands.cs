using System.Text.Json;

namespace Mgmt.Core;

/// <summary>The typed client: commands of <see cref="AgentCommands"/> asked of an agent.</summary>
public static class GuestAgentCommands
{
    /// <summary>
    /// Asks a command and gives its answer; of one that does not answer (<see cref="AgentCommand.Answers"/>) the type's default.
    /// ERRORS: as <see cref="IGuestAgent.ExecuteAsync"/>; MgmtUnavailableError for an answer of another shape than the reference's.
    /// </summary>
    public static async Task<TResult> RunAsync<TArguments, TResult>(this IGuestAgent agent, AgentCommand<TArguments, TResult> command, TArguments arguments, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(agent);
        ArgumentNullException.ThrowIfNull(command);
        var answer = await agent.RunJsonAsync(command, command.Write(arguments), cancellation);
        return command.Answers ? command.Read(answer) : default!;
    }

    /// <summary>Asks a command that takes no arguments. ERRORS: as above.</summary>
    public static Task<TResult> RunAsync<TResult>(this IGuestAgent agent, AgentCommand<GuestNothing, TResult> command, CancellationToken cancellation) =>
        agent.RunAsync(command, new GuestNothing(), cancellation);

    /// <summary>The same with arguments that were checked, for an answer that has yet to be. A command that does not answer gives an element of no kind.</summary>
    public static async Task<JsonElement> RunJsonAsync(this IGuestAgent agent, AgentCommand command, string? argumentsJson, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(agent);
        ArgumentNullException.ThrowIfNull(command);
        if (command.Answers)
        {
            return await agent.ExecuteAsync(command.Name, argumentsJson, command.Deadline, cancellation);
        }
        await agent.SendAsync(command.Name, argumentsJson, cancellation);
        return default;
    }
}
