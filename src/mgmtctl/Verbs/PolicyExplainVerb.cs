using System.CommandLine;
using System.Text.Json;
using Mgmt.Cli.Rendering;
using Mgmt.Policy;

namespace Mgmt.Cli.Verbs;

/// <summary>policy explain</summary>
internal static class PolicyExplainVerb
{
    private static readonly Argument<string> Call = new("SERVICE[+ARG]") { Description = "The service, with its argument" };
    private static readonly Argument<string> Source = new("SOURCE") { Description = "Who calls" };
    private static readonly Argument<string> Target = new("TARGET") { Description = "A VM, dom0, @adminvm, @default, @dispvm or @dispvm:TEMPLATE" };

    public static Command Create(CommandLine cli) =>
        cli.Verb("explain", "Tell which rule decides, which ones nearly did, and what a tag would change",
            ["mgmtctl policy explain mgmt.vm.Start monitor work", "mgmtctl policy explain mgmt.vm.property.Set+netvm+sys-net ops web"],
            [Call, Source, Target, PolicyInputs.Directories, PolicyInputs.SystemInfo], async (run, token) =>
        {
            var request = PolicyInputs.Request(run.Get(Call)!, run.Get(Source)!, run.Get(Target)!);
            if (await ExplanationAsync(run, request, token) is not { } explanation)
            {
                return ExitCode.Refused;
            }
            if (run.Output.Json)
            {
                run.Output.JsonLine(writer => WriteJson(writer, explanation));
            }
            else
            {
                WriteText(line => run.Output.Line(PlainText.OneLine(line)), explanation);
            }
            return ExitCode.Done;
        });

    private static async Task<PolicyExplanation?> ExplanationAsync(Run run, PolicyRequest request, CancellationToken cancellationToken)
    {
        if (PolicyInputs.AllAtDaemon(run))
        {
            return PolicyExplanationText.Parse(await PolicyInputs.AskDaemonAsync(run, "mgmt.policy.Explain", request, cancellationToken));
        }
        return await PolicyInputs.LoadAsync(run, cancellationToken) is { } set ? PolicyExplanation.Of(set, request, await PolicyInputs.DomainsAsync(run, cancellationToken)) : null;
    }

    private static void WriteText(Action<string> line, PolicyExplanation explanation)
    {
        line($"{explanation.Outcome.Decision}: {explanation.Outcome.Message}");
        if (explanation.Text.Length > 0)
        {
            line($"{explanation.Outcome.Rule}: {explanation.Text}");
        }
        foreach (var miss in explanation.NearMisses)
        {
            line($"not {miss.Rule}: {(miss.Text.Length > 0 ? miss.Text + " " : "")}({miss.Why})");
        }
        foreach (var change in explanation.TagChanges)
        {
            line($"with the tag {change.Tag} {(change.Added ? "on" : "taken off")} {change.Vm}: {change.Outcome.Decision}, {change.Outcome.Message}");
        }
    }

    private static void WriteJson(Utf8JsonWriter writer, PolicyExplanation explanation)
    {
        writer.WriteStartObject();
        WriteOutcome(writer, explanation.Outcome);
        writer.WriteString("text", explanation.Text);
        writer.WriteStartArray("near_misses");
        foreach (var miss in explanation.NearMisses)
        {
            writer.WriteStartObject();
            writer.WriteString("rule", miss.Rule);
            writer.WriteString("text", miss.Text);
            writer.WriteString("why", miss.Why);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteStartArray("tags");
        foreach (var change in explanation.TagChanges)
        {
            writer.WriteStartObject();
            writer.WriteString("tag", change.Tag);
            writer.WriteString("vm", change.Vm);
            writer.WriteString("change", change.Added ? "add" : "remove");
            WriteOutcome(writer, change.Outcome);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteOutcome(Utf8JsonWriter writer, PolicyOutcome outcome)
    {
        writer.WriteString("decision", outcome.Decision);
        writer.WriteString("rule", outcome.Rule);
        writer.WriteString("message", outcome.Message);
    }
}
