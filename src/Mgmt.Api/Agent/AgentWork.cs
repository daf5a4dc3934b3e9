using System.Buffers;
using System.Text.Json;

namespace Mgmt.Api;

/// <summary>Asks the agent of a VM for a caller: arguments checked, answer checked and bounded, numbers of files and processes exchanged for ids. Nothing of it is kept.</summary>
internal sealed class AgentWork(LifecycleServices services)
{
    private const int MaxReadBytes = 4 << 20;
    private readonly GuestFreeze _freeze = new(services);

    /// <summary>
    /// The answer as JSON in one line; <c>{}</c> of a command that does not answer. ERRORS: QubesVMNotStartedError, QubesVMNotRunningError (paused), MgmtUnavailableError (no agent, or
    /// it makes no sense), MgmtUnsupportedError, MgmtTimeoutError, MgmtBusyError, QubesException (the agent's words), ProtocolError and QubesValueError (arguments).
    /// </summary>
    internal async Task<ReadOnlyMemory<byte>> AskAsync(AgentCommand command, CallContext call, CancellationToken cancellation)
    {
        var session = Session(call.Target);
        var agent = session.Vm.Agent;
        var number = agent.Session;
        var kind = command.HandleArgument == "pid" ? AgentHandleKind.Process : AgentHandleKind.File;
        var (arguments, id) = AgentArguments.Read(command, call.Payload.Bytes, text => session.Handles.Number(text, call.Source, kind, number));
        CheckCount(command, arguments);
        return command.Name switch
        {
            "guest-file-open" => await OpenAsync(command, session, call.Source, AgentHandleKind.File, arguments, cancellation),
            "guest-exec" => await OpenAsync(command, session, call.Source, AgentHandleKind.Process, arguments, cancellation),
            "guest-file-close" => await CloseAsync(command, session, id!, arguments, cancellation),
            "guest-exec-status" => await StatusAsync(command, session, id!, arguments, cancellation),
            "guest-fsfreeze-freeze" or "guest-fsfreeze-freeze-list" => await FreezeAsync(command, session, arguments),
            "guest-fsfreeze-thaw" => await ThawAsync(command, session, cancellation),
            _ => Text(await CheckedAsync(command, session, arguments, cancellation)),
        };
    }

    /// <summary>The session of a VM whose agent can be asked. ERRORS: as above.</summary>
    internal VmSession Session(VmRecord vm) => vm.Status.State switch
    {
        VmState.Halted => throw new MgmtException(ErrorCode.QubesVMNotStartedError, "Domain is powered off: '%s'", vm.Name.Value),
        VmState.Paused => throw new MgmtException(ErrorCode.QubesVMNotRunningError, "Domain not running (either powered off or paused): '%s'", vm.Name.Value),
        _ => services.Sessions.Get(vm.Name),
    };

    private static async Task<JsonElement> CheckedAsync(AgentCommand command, VmSession session, string? arguments, CancellationToken cancellation)
    {
        var answer = await session.Vm.Agent.RunJsonAsync(command, arguments, cancellation);
        if (command.Answers)
        {
            AgentShape.CheckResult(command, answer);
        }
        return answer;
    }

    private static async Task<ReadOnlyMemory<byte>> OpenAsync(AgentCommand command, VmSession session, string caller, AgentHandleKind kind, string? arguments, CancellationToken cancellation)
    {
        var id = session.Handles.Reserve(caller, kind, session.Vm.Agent.Session);
        try
        {
            var answer = await CheckedAsync(command, session, arguments, cancellation);
            session.Handles.Fill(id, kind == AgentHandleKind.File ? answer.GetInt64() : answer.GetProperty("pid").GetInt64());
            return Content.Text(kind == AgentHandleKind.File ? $"\"{id}\"" : $$"""{"pid":"{{id}}"}""");
        }
        catch
        {
            session.Handles.Remove(id);
            throw;
        }
    }

    private static async Task<ReadOnlyMemory<byte>> CloseAsync(AgentCommand command, VmSession session, string id, string? arguments, CancellationToken cancellation)
    {
        // Whatever comes of it, nobody uses it again.
        session.Handles.Remove(id);
        return Text(await CheckedAsync(command, session, arguments, cancellation));
    }

    private static async Task<ReadOnlyMemory<byte>> StatusAsync(AgentCommand command, VmSession session, string id, string? arguments, CancellationToken cancellation)
    {
        var answer = await CheckedAsync(command, session, arguments, cancellation);
        if (answer.GetProperty("exited").GetBoolean())
        {
            // The agent has forgotten it, and may give its number to the next.
            session.Handles.Remove(id);
        }
        return Text(answer);
    }

    /// <summary>Goes the way of snapshots: written down, and thawed after the limit at the latest, whatever happens to the caller, the guest or the daemon.</summary>
    private async Task<ReadOnlyMemory<byte>> FreezeAsync(AgentCommand command, VmSession session, string? arguments)
    {
        using var gate = await services.Gates.EnterAsync(session.Name, CancellationToken.None);
        var guest = await _freeze.FreezeAsync(session, command.Name, arguments);
        session.FrozenByCall = guest;
        if (guest.Refusal is { } refusal)
        {
            await guest.ThawAsync();
            throw refusal;
        }
        return Content.Text(guest.Count.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    private async Task<ReadOnlyMemory<byte>> ThawAsync(AgentCommand command, VmSession session, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(session.Name, cancellation);
        if (session.FrozenByCall is { IsOver: false } guest)
        {
            session.FrozenByCall = null;
            await guest.ThawAsync();
            return Content.Text(guest.Thawed.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        if (services.Store.Current.Find(session.Name)?.Status.Run?.FrozenAt is not null)
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "The file systems of %s are being thawed, or frozen for a snapshot, which thaws them itself", session.Name.Value);
        }
        return Text(await CheckedAsync(command, session, null, cancellation));
    }

    private static void CheckCount(AgentCommand command, string? arguments)
    {
        if (command.Name != "guest-file-read" || arguments is null)
        {
            return;
        }
        using var document = JsonDocument.Parse(arguments);
        if (document.RootElement.TryGetProperty("count", out var count) && count.GetInt64() is < 0 or > MaxReadBytes)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "arguments of %s: 'count' is at most %s", command.Name, "4194304");
        }
    }

    private static ReadOnlyMemory<byte> Text(JsonElement answer)
    {
        if (answer.ValueKind == JsonValueKind.Undefined)
        {
            return Content.Text("{}");
        }
        var compact = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(compact))
        {
            answer.WriteTo(json);
        }
        return Content.Of(compact);
    }
}
