using System.Text.Json;
using Mgmt.Policy;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// The content of mgmt.Status. SHAPE: object with <c>daemon</c>, <c>host</c> (what the backend says of it), <c>policy</c>, <c>ask</c> (agents and pending questions), <c>machined</c>, <c>storage</c>, <c>devices</c>, <c>vms</c> (those that run or have
/// faults) and <c>notes</c> (sentences about what is not there).
/// </summary>
public sealed class StatusReport(DaemonFacts facts, StateStore store, PolicyStore policy, IVmBackend backend, IMachineRegistry machines, PoolSet pools, AuditLog audit, EventStreams streams, ActiveCalls calls, PendingQuestions questions, TimeProvider clock)
{
    /// <summary>What systemd-machined and we do not agree about: sentences.</summary>
    public Func<IReadOnlyList<string>> MachinedFaults { get; init; } = () => [];

    /// <summary>What else is not there: sentences.</summary>
    public IReadOnlyList<string> Missing { get; init; } = [];

    /// <summary>What is told of devices.</summary>
    public required DeviceStatus Devices { get; init; }

    /// <summary>Writes it.</summary>
    public void Write(Utf8JsonWriter json, HostState state)
    {
        json.WriteStartObject();
        WriteDaemon(json);
        WritePolicy(json);
        WriteAsk(json);
        WriteMachined(json);
        WriteStorage(json, state);
        json.WritePropertyName("devices");
        Devices.Write(json, state);
        WriteVms(json, state);
        json.WriteStartArray("notes");
        foreach (var note in Notes(state).Concat(Missing))
        {
            json.WriteStringValue(note);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteDaemon(Utf8JsonWriter json)
    {
        json.WriteStartObject("daemon");
        json.WriteString("version", facts.Version);
        json.WriteNumber("pid", facts.ProcessId);
        json.WriteString("backend", backend.Uri);
        json.WriteNumber("uptime_ms", (long)(clock.GetUtcNow() - facts.StartedAt).TotalMilliseconds);
        json.WriteString("cursor", store.Journal.Newest.ToString());
        json.WriteString("store", store.DeadReason ?? "ok");
        json.WriteString("audit", audit.Failure ?? "ok");
        json.WriteNumber("calls", calls.Count);
        json.WriteNumber("streams", streams.Count);
        json.WriteEndObject();
        json.WriteStartObject("host");
        foreach (var (key, value) in backend.Describe().OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }
        json.WriteEndObject();
    }

    private void WritePolicy(Utf8JsonWriter json)
    {
        var snapshot = policy.Current;
        json.WriteStartObject("policy");
        json.WriteString("state", snapshot.Stale ? "stale" : "ok");
        json.WriteString("since", snapshot.Since);
        json.WriteNumber("rules", snapshot.Set.RuleCount);
        json.WriteString("digest", snapshot.Set.Digest);
        json.WriteStartArray("errors");
        foreach (var error in snapshot.Errors)
        {
            json.WriteStringValue($"{error.File}:{error.Line}: {error.Message}");
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteAsk(Utf8JsonWriter json)
    {
        json.WriteStartObject("ask");
        json.WriteNumber("agents", questions.AgentCount);
        json.WriteNumber("agent_sockets", questions.SocketCount);
        json.WriteNumber("pending", questions.Count);
        json.WriteEndObject();
    }

    private void WriteMachined(Utf8JsonWriter json)
    {
        var status = machines.Status;
        json.WriteStartObject("machined");
        json.WriteString("state", status.State);
        json.WriteString("detail", status.Detail);
        json.WriteString("since", status.Since);
        json.WriteStartArray("faults");
        foreach (var fault in MachinedFaults())
        {
            json.WriteStringValue(fault);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteStorage(Utf8JsonWriter json, HostState state)
    {
        json.WriteStartArray("storage");
        foreach (var record in state.Pools.Values)
        {
            json.WriteStartObject();
            json.WriteString("pool", record.Name.Value);
            json.WriteString("driver", record.Driver);
            json.WriteString("state", pools.TryGet(record.Name) is null ? "broken" : "ok");
            json.WriteNumber("unfinished", state.VolumesInWork.Count(v => v.Pool == record.Name));
            json.WriteString("detail", pools.Broken.Where(b => b.Key == record.Name).Select(b => b.Value).FirstOrDefault() ?? "");
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteVms(Utf8JsonWriter json, HostState state)
    {
        json.WriteStartArray("vms");
        foreach (var vm in state.Vms.Values.Where(vm => vm.Class != VmClass.AdminVM && (vm.Status.State != VmState.Halted || !vm.Status.Faults.IsEmpty)))
        {
            json.WriteStartObject();
            json.WriteString("name", vm.Name.Value);
            json.WriteString("state", vm.Status.State.ToString());
            json.WriteString("agent", LifecycleChanges.Wire(vm.Status.Agent));
            json.WriteStartArray("faults");
            foreach (var fault in vm.Status.Faults)
            {
                json.WriteStringValue(fault);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static IEnumerable<string> Notes(HostState state)
    {
        if (state.Vms.Values.Any(vm => vm.Property("netvm") is { Length: > 0 }) || state.Properties.GetValueOrDefault("default_netvm") is { Length: > 0 })
        {
            yield return "networking is not built yet: VMs have no network card, netvm is kept and has no effect";
        }
    }
}
