using System.Buffers;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>What the guest agent says. Its words are handed on as JSON, bounded, and never kept.</summary>
public sealed class AgentCalls(LifecycleServices services) : ICallGroup
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.agent.Info", CallTarget.Vm, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "The agent's version and commands (guest-info).", (call, token) => Ask(call, "guest-info", token)) { Returns = "JSON" },
        new("vm.agent.OsInfo", CallTarget.Vm, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "The guest's operating system (guest-get-osinfo).", (call, token) => Ask(call, "guest-get-osinfo", token)) { Returns = "JSON" },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Ask(CallContext call, string command, CancellationToken cancellation)
    {
        if (call.Target.Status.State == VmState.Halted)
        {
            throw new MgmtException(ErrorCode.QubesVMNotStartedError, "Domain is powered off: '%s'", call.Target.Name.Value);
        }
        var session = services.Sessions.Get(call.Target.Name);
        var answer = await session.Vm.Agent.ExecuteAsync(command, null, Deadline, cancellation);
        var compact = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(compact))
        {
            answer.WriteTo(json);
        }
        return Content.Of(compact);
    }
}
