using System.Text;

namespace Mgmt.Api;

/// <summary>docs/agent-commands.md.</summary>
internal static class AgentPage
{
    internal static string Write(CallTable table)
    {
        var text = new StringBuilder("""
            <!-- Generated from the call table and the agent's commands by `make generate`; do not edit. -->
            # Commands of the guest agent

            Each is a call `mgmt.vm.agent.NAME` on a VM, with a payload and an answer in JSON of the shape below (`?`: may be absent). *role* is the role file of the default policy that
            allows the call; *wait* the deadline, queue included. The handle of a file and the pid of a process are ids of ours, as text, where the shape says integer.
            How they are used, and what the daemon adds: [guest-agent.md](guest-agent.md).

            | call | agent's command | arguments | answer | role | wait | what it does |
            |---|---|---|---|---|---|---|

            """);
        foreach (var command in AgentCommands.All.Where(command => command.IsCallable).OrderBy(command => command.Call, StringComparer.Ordinal))
        {
            var row = table.Rows.Single(row => row.Name == "vm.agent." + command.Call);
            var answer = command.Answers ? Code(AgentShape.Describe(command.Result)) : "none of its own; `{}` when no error came";
            var wait = command.Answers ? command.Deadline : command.Listening;
            text.Append(System.Globalization.CultureInfo.InvariantCulture,
                $"| `{command.Call}` | {command.Name} | {Code(AgentShape.Describe(command.Arguments))} | {answer} | {PolicyGenerator.Role(row)} | {wait.TotalSeconds:0.#} s | {command.Summary} |\n");
        }
        return text.ToString();
    }

    private static string Code(string shape) => $"`{shape}`";
}
