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
        cli.Verb("explain", "Tell which rule decides, which ones nearly did, and what a tag on the target would change",
            ["mgmtctl policy explain mgmt.vm.Start monitor work", "mgmtctl policy explain mgmt.vm.property.Set+netvm+sys-net ops web"],
            [Call, Source, Target, PolicyInputs.Directories, PolicyInputs.SystemInfo], async (run, token) =>
        {
            if (PolicyInputs.Load(run) is not { } load)
            {
                return ExitCode.Refused;
            }
            var request = PolicyInputs.Request(run.Get(Call)!, run.Get(Source)!, run.Get(Target)!);
            var explanation = PolicyExplanation.Of(load, request, await PolicyInputs.DomainsAsync(run, token));
            if (run.Output.Json)
            {
                run.Output.JsonLine(writer => WriteJson(writer, explanation));
            }
            else
            {
                WriteText(line => run.Output.Line(PlainText.OneLine(line)), explanation, request.Target);
            }
            return ExitCode.Done;
        });

    private static void WriteText(Action<string> line, PolicyExplanation explanation, string target)
    {
        line($"{explanation.Outcome.Decision}: {explanation.Outcome.Message}");
        if (explanation.Text.Length > 0)
        {
            line($"{explanation.Outcome.Rule}: {explanation.Text}");
        }
        foreach (var miss in explanation.NearMisses)
        {
            line($"not {miss.Rule}: {miss.Text} ({miss.Why})");
        }
        foreach (var change in explanation.TagChanges)
        {
            line($"with the tag {change.Tag} {(change.Added ? "on" : "taken off")} {target}: {change.Outcome.Decision}, {change.Outcome.Message}");
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
