using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Policy;

// case = { "policy"?: files, "runtime_policy"?: files, "legacy_policy"?: files, "system_info"?, "requests": [ request… ] }, or {"case": case, …}
// request = { "service", "arg", "source", "target", "requested_source"? }              arg: empty, "x" or "+x"
/// <summary>A whole policy with questions, as one JSON object, and its answers as another: the pure language.</summary>
public static class PolicyCase
{
    /// <summary>
    /// Loads the case's policy and writes what it answers: an array with an object per request, with `decision` (allow, ask or deny) and what
    /// belongs to it, or `error`; or one object with `policy_error`, `file` and `line` when the policy does not load. Files are shown as
    /// `FILE`, those of the runtime directory as `run:FILE`, of the legacy one as `old:FILE`. ERRORS: QubesValueError for a case of another form.
    /// </summary>
    /// <param name="line">The case.</param>
    /// <param name="writer">Where one value is written.</param>
    /// <param name="rules">The rules of a case that has none itself; null for a refusal.</param>
    /// <param name="vms">The VMs of a case that has none itself; null for none.</param>
    public static void Answer(JsonElement line, Utf8JsonWriter writer, PolicySource? rules, IDomainDirectory? vms)
    {
        ArgumentNullException.ThrowIfNull(writer);
        var (source, domains, questions) = JsonText.Read("case", () => ReadCase(line, rules, vms));
        var load = PolicySet.Load(source, new PolicyOptions());
        if (load.Set is not { } set)
        {
            WriteError(writer, load.Errors[0]);
            return;
        }
        writer.WriteStartArray();
        foreach (var request in questions)
            Write(writer, set.Evaluate(request, domains), UserAsWritten(set, request, domains));
        writer.WriteEndArray();
    }

    /// <summary>Whether a case has questions and no rules of its own.</summary>
    public static bool LacksRules(JsonElement line) => Subject(line) is { ValueKind: JsonValueKind.Object } subject && subject.TryGetProperty("requests", out _) && !subject.TryGetProperty("policy", out _);

    private static JsonElement Subject(JsonElement line) => line.ValueKind == JsonValueKind.Object && line.TryGetProperty("case", out var inner) ? inner : line;

    private static (PolicySource Source, IDomainDirectory Vms, List<PolicyRequest> Questions) ReadCase(JsonElement line, PolicySource? rules, IDomainDirectory? vms)
    {
        var subject = Subject(line);
        if (subject.ValueKind != JsonValueKind.Object || !subject.TryGetProperty("requests", out var requests) || requests.ValueKind != JsonValueKind.Array)
            throw new MgmtException(ErrorCode.QubesValueError, "The case has no list \"requests\"");
        var questions = requests.EnumerateArray().Select(Read).ToList();
        var domains = subject.TryGetProperty("system_info", out var info) ? SystemInfo.Read(info) : vms ?? new SystemInfo([]);
        return (LacksRules(line) && rules is not null ? rules : PolicyCaseFiles.Read(subject), domains, questions);
    }

    private static PolicyRequest Read(JsonElement request)
    {
        var argument = Text(request, "arg") ?? "";
        return new PolicyRequest(
            Text(request, "service") ?? throw new MgmtException(ErrorCode.QubesValueError, "A request has no service"),
            argument.StartsWith('+') ? argument : "+" + argument,
            Text(request, "source") ?? throw new MgmtException(ErrorCode.QubesValueError, "A request has no source"),
            Text(request, "target") ?? "")
        {
            RequestedSource = Text(request, "requested_source"),
        };
    }

    private static string? Text(JsonElement element, string member) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(member, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;

    // The engine tells an empty user= from none, though both mean the same.
    private static string? UserAsWritten(PolicySet set, PolicyRequest request, IDomainDirectory domains)
    {
        var valid = CheckedRequest.Check(request, domains);
        if (valid.Error is not null)
            return null;
        var order = set.Find(request, valid.Source, valid.Target, domains);
        return order < 0 ? null : set.Rules[order].User;
    }

    private static void WriteError(Utf8JsonWriter writer, PolicyDiagnostic error)
    {
        writer.WriteStartObject();
        writer.WriteString("policy_error", error.ToString());
        writer.WriteString("file", error.File);
        writer.WriteNumber("line", error.Line);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, PolicyDecision decision, string? user)
    {
        writer.WriteStartObject();
        switch (decision)
        {
            case PolicyDecision.RequestError error:
                writer.WriteString("error", error.Message);
                writer.WriteString("stage", "request");
                break;
            case PolicyDecision.Allow allow:
                WriteHead(writer, "allow", decision);
                writer.WriteString("target", allow.Target);
                writer.WriteString("user", user);
                writer.WriteBoolean("autostart", allow.Autostart);
                if (allow.Refused is { } refused)
                    writer.WriteString("refused", refused);
                break;
            case PolicyDecision.Ask ask:
                WriteHead(writer, "ask", decision);
                writer.WriteStartArray("targets_for_ask");
                foreach (var target in ask.Targets)
                    writer.WriteStringValue(target);
                writer.WriteEndArray();
                writer.WriteString("default_target", ask.DefaultTarget);
                writer.WriteString("user", user);
                writer.WriteBoolean("autostart", ask.Autostart);
                break;
            case PolicyDecision.Deny deny:
                WriteHead(writer, "deny", decision);
                writer.WriteString("reason", Word(deny.Reason));
                writer.WriteString("message", deny.Message);
                break;
        }
        writer.WriteEndObject();
    }

    private static void WriteHead(Utf8JsonWriter writer, string decision, PolicyDecision value)
    {
        writer.WriteString("decision", decision);
        writer.WriteString("rule", value.Rule);
        writer.WriteBoolean("notify", value.Notify);
    }

    private static string Word(DenyReason reason) => reason switch
    {
        DenyReason.Rule => "rule",
        DenyReason.NoMatch => "no_match",
        DenyReason.NoTarget => "no_target",
        DenyReason.NoDispvm => "no_dispvm",
        DenyReason.NotDispvmTemplate => "not_dispvm_template",
        DenyReason.Autostart => "autostart",
        DenyReason.NoAskTargets => "no_ask_targets",
        _ => "other",
    };
}
