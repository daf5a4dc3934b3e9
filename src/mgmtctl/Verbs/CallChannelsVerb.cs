using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mgmt.Cli.Formats;

namespace Mgmt.Cli.Verbs;

/// <summary>calls channels: what VMs call on, a line for each channel and for each call that has none of its own any more; in JSON what mgmt.call.Channels tells.</summary>
internal static class CallChannelsVerb
{
    private static readonly string[] Columns = ["vm", "channel", "state", "call", "method", "target", "in", "out", "age_ms"];

    public static Command Create(CommandLine cli) =>
        cli.Verb("channels", "List the channels that running VMs call on, and their calls in flight with the bytes in and out", ["mgmtctl calls channels", "mgmtctl calls channels --json"], [], async (run, token) =>
        {
            using var answer = JsonFacts.Parse(await run.Daemon.CallAsync("mgmt.call.Channels", "", Daemon.Host, "", token));
            if (run.Output.Json)
            {
                run.Output.Element(answer.RootElement);
                return ExitCode.Done;
            }
            run.Output.Table(Columns, [.. List(answer.RootElement).SelectMany(Rows)]);
            return ExitCode.Done;
        });

    private static IEnumerable<object?[]> Rows(JsonElement vm)
    {
        var name = JsonFacts.Member(vm, "vm");
        var calls = Members(vm, "in_flight").ToList();
        yield return Row(name, "calls", $"{JsonFacts.Member(vm, "calls")} of {JsonFacts.Member(vm, "calls_limit")}", null);
        foreach (var port in Members(vm, "ports"))
        {
            var id = JsonFacts.Member(port, "call");
            var call = calls.FindIndex(call => id.Length > 0 && JsonFacts.Member(call, "id") == id);
            yield return Row(name, "port " + JsonFacts.Member(port, "port"), PortState(port), call < 0 ? null : calls[call]);
            if (call >= 0)
            {
                calls.RemoveAt(call);
            }
        }
        foreach (var port in Members(vm, "agent_ports"))
        {
            var source = JsonFacts.Member(port, "source");
            yield return Row(name, "agent port " + JsonFacts.Member(port, "port"), source.Length > 0 ? "serves " + source : "free", null, JsonFacts.Member(port, "call"));
        }
        if (vm.TryGetProperty("vchan", out var link))
        {
            yield return Row(name, "vchan", JsonFacts.Member(link, "connected") == "true" ? $"version {JsonFacts.Member(link, "version")}, {JsonFacts.Member(link, "data_channels")} data" : "no agent", null);
        }
        foreach (var call in calls)
        {
            yield return Row(name, JsonFacts.Member(call, "via"), JsonFacts.Member(call, "caller_gone") == "true" ? "caller gone" : "open", call);
        }
    }

    private static object?[] Row(string vm, string channel, string state, JsonElement? call, string id = "") => call is { } it
        ? [vm, channel, state, JsonFacts.Member(it, "id"), JsonFacts.Member(it, "method"), JsonFacts.Member(it, "target"), Bytes(it, "in"), Bytes(it, "out"), JsonFacts.Member(it, "age_ms")]
        : [vm, channel, state, id, null, null, null, null, null];

    private static string PortState(JsonElement port) => JsonFacts.Member(port, "connected") != "true" ? "not connected" : JsonFacts.Member(port, "open") switch
    {
        "true" => "open",
        "false" => "closed",
        // Nothing was told of it since the daemon began.
        _ => "idle",
    };

    private static object? Bytes(JsonElement call, string name) =>
        long.TryParse(JsonFacts.Member(call, name), NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? new ByteSize(bytes) : null;

    private static IEnumerable<JsonElement> Members(JsonElement element, string name) => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var list) ? List(list) : [];

    private static IEnumerable<JsonElement> List(JsonElement list) => list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : [];
}
