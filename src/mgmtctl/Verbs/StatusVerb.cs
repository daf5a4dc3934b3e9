using System.CommandLine;
using System.Text.Json;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>status: whatever mgmt.Status tells, VMs last.</summary>
internal static class StatusVerb
{
    private const string Vms = "vms";

    public static Command Create(CommandLine cli) =>
        cli.Verb("status", "Show how the daemon is: backend, policy, machined, and what is wrong", ["mgmtctl status", "mgmtctl status --json"], [], async (run, token) =>
        {
            using var answer = JsonFacts.Parse(await run.Daemon.CallAsync("mgmt.Status", "", Daemon.Host, "", token));
            if (run.Output.Json)
            {
                run.Output.Element(answer.RootElement);
                return ExitCode.Done;
            }
            run.Output.Facts([.. JsonFacts.Flatten(answer.RootElement).Where(fact => !fact.Key.StartsWith(Vms + ".", StringComparison.Ordinal))]);
            var rows = Rows(answer.RootElement);
            if (rows.Length > 0)
            {
                run.Output.Line("");
                run.Output.Table(["vm", "state", "agent", "faults"], rows);
            }
            return ExitCode.Done;
        });

    private static object?[][] Rows(JsonElement status) =>
        status.ValueKind == JsonValueKind.Object && status.TryGetProperty(Vms, out var vms) && vms.ValueKind == JsonValueKind.Array
            ? [.. vms.EnumerateArray().Select(vm => new object?[] { JsonFacts.Member(vm, "name"), JsonFacts.Member(vm, "state"), JsonFacts.Member(vm, "agent"), JsonFacts.Member(vm, "faults") })]
            : [];
}
