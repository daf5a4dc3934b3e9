using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>The daemon itself: what it is, how it is, what it is doing.</summary>
public sealed class DaemonCalls(LifecycleServices services, DaemonFacts facts, StatusReport status, ActiveCalls calls, GuestChannels channels) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("Info", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "Version, API, backend, limits and the newest cursor.", Info) { Returns = "`<key>=<value>\\n`" },
        new("Status", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "How the daemon, the policy, systemd-machined and each VM are.", Status) { Returns = "JSON" },
        new("call.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("call"), PayloadRule.None, CallDialects.Mgmt,
            "The calls in flight.", ListCalls) { Returns = "`<id> method=<method> source=<vm> target=<vm> age_ms=<ms> via=<channel>\\n`" },
        new("call.Channels", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "The channels on which each VM that runs calls, and its calls in flight.", ListChannels) { Returns = "JSON" },
        new("call.Cancel", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("call"), PayloadRule.None, CallDialects.Mgmt,
            "Ends a call in flight that changes nothing or only waits.", Cancel),
        new("host.Export", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "Everything that is configured, as a document that test:///FILE reads.", Export) { Returns = "JSON" },
    ];

    private ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation)
    {
        var text = new StringBuilder();
        text.Append("version=").Append(facts.Version).Append("\napi=").Append(DaemonFacts.ApiVersion).Append("\nbackend=").Append(services.Backend.Uri).Append('\n');
        foreach (var (key, value) in services.Backend.Describe().OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            text.Append("backend-").Append(key).Append('=').Append(value.ReplaceLineEndings(" ")).Append('\n');
        }
        text.Append(CultureInfo.InvariantCulture, $"limit-request-bytes={PayloadRule.DefaultCapBytes}\nlimit-connections={facts.MaxConnections}\ncursor={services.Store.Journal.Newest}\n");
        return new(Content.Text(text.ToString()));
    }

    private ValueTask<ReadOnlyMemory<byte>> Status(CallContext call, CancellationToken cancellation)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            status.Write(json, call.State);
        }
        return new(Content.Of(buffer));
    }

    private ValueTask<ReadOnlyMemory<byte>> ListChannels(CallContext call, CancellationToken cancellation)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            channels.Write(json);
        }
        return new(Content.Of(buffer));
    }

    private ValueTask<ReadOnlyMemory<byte>> ListCalls(CallContext call, CancellationToken cancellation)
    {
        if (call.Argument.Length == 0)
        {
            return new(Content.Lines(calls.List.Select(Line)));
        }
        return new(Content.Lines([Line(Find(call.Argument))]));
    }

    private ValueTask<ReadOnlyMemory<byte>> Cancel(CallContext call, CancellationToken cancellation) => Find(call.Argument).Cancel()
        ? new(Content.Empty)
        : throw new MgmtException(ErrorCode.MgmtBusyError, "Call %s has begun to change something and runs to its end", call.Argument);

    private ValueTask<ReadOnlyMemory<byte>> Export(CallContext call, CancellationToken cancellation)
    {
        var buffer = new ArrayBufferWriter<byte>();
        HostDocument.Write(call.State, buffer);
        return new(Content.Of(buffer));
    }

    private ActiveCall Find(string text) => calls.Find(Parse.Number(text, "call id"))
        ?? throw new MgmtException(ErrorCode.QubesValueError, "No call %s is in flight", text);

    private string Line(ActiveCall call) => string.Create(CultureInfo.InvariantCulture,
        $"{call.Id} method={call.Request.Method} source={call.Context?.Source ?? call.Request.Source} target={call.Target} age_ms={(long)calls.Age(call).TotalMilliseconds} via={call.Caller.Via ?? "socket"}");
}
