using System.Text.Json;
using Mgmt.Qrexec;

namespace Mgmt.Daemon;

/// <summary>What call.Channels says of one VM. SHAPE: docs/guest-channels.md, "What is going on".</summary>
internal sealed class VmChannels(GuestCalls calls, Func<IReadOnlyList<AgentPorts.PortUse>> agentPorts, TimeProvider clock)
{
    /// <summary>A name may be long.</summary>
    private const int MaxText = 128;

    internal GuestCalls Calls => calls;

    internal GuestPortSet? Ports { get; set; }

    internal AgentLink? Link { get; set; }

    internal void Write(Utf8JsonWriter json)
    {
        var running = calls.Running;
        json.WriteNumber("calls", running.Count);
        json.WriteNumber("calls_limit", calls.MaxInFlight);
        json.WriteNumber("payload_bytes", calls.Payloads.HeldBytes);
        json.WriteNumber("payload_limit", calls.Payloads.LimitBytes);
        WritePorts(json);
        WriteAgentPorts(json);
        if (Link is { State: var (version, channels) })
        {
            json.WriteStartObject("vchan");
            json.WriteBoolean("connected", version > 0);
            json.WriteNumber("version", version);
            json.WriteNumber("data_channels", channels);
            json.WriteEndObject();
        }
        json.WriteStartArray("in_flight");
        foreach (var call in running.OrderBy(call => call.Began))
        {
            WriteCall(json, call);
        }
        json.WriteEndArray();
    }

    private void WritePorts(Utf8JsonWriter json)
    {
        json.WriteStartArray("ports");
        var number = 0;
        foreach (var port in Ports?.States ?? [])
        {
            json.WriteStartObject();
            json.WriteNumber("port", number++);
            json.WriteBoolean("connected", port.IsConnected);
            if (port.IsOpen is { } isOpen)
            {
                json.WriteBoolean("open", isOpen);
            }
            WriteId(json, "call", port.Call?.Id ?? 0);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private void WriteAgentPorts(Utf8JsonWriter json)
    {
        json.WriteStartArray("agent_ports");
        foreach (var (port, source, call) in agentPorts())
        {
            json.WriteStartObject();
            json.WriteNumber("port", port);
            if (source is not null)
            {
                json.WriteString("source", source);
            }
            WriteId(json, "call", call);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private void WriteCall(Utf8JsonWriter json, RunningCall running)
    {
        var (call, request, began) = running;
        json.WriteStartObject();
        WriteId(json, "id", call.Id);
        json.WriteString("method", Cut(request.Method));
        json.WriteString("target", Cut(request.Destination));
        json.WriteString("via", call.Transport);
        json.WriteNumber("in", call.BytesIn);
        json.WriteNumber("out", call.BytesOut);
        json.WriteNumber("age_ms", (long)clock.GetElapsedTime(began).TotalMilliseconds);
        json.WriteBoolean("caller_gone", call.Gone.IsCancellationRequested);
        json.WriteEndObject();
    }

    private static void WriteId(Utf8JsonWriter json, string name, long id)
    {
        if (id > 0)
        {
            json.WriteNumber(name, id);
        }
    }

    private static string Cut(string text) => text.Length <= MaxText ? text : text[..MaxText] + "…";
}

/// <summary>A call of a guest's that is in flight, from its first word to its last.</summary>
internal sealed record RunningCall(GuestCall Call, Mgmt.Api.CallRequest Request, long Began);
