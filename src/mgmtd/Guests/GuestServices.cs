using System.Collections.Concurrent;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.State;

namespace Mgmt.Daemon;

/// <summary>
/// Services in guests, over the ports on which their mgmt-agent waits. A VM is started for a call where the policy lets it. A call has a port for itself; a VM that calls may have all of another's
/// ports but one, so that its calls wait for each other before they keep a third VM waiting.
/// </summary>
internal sealed class GuestServices(SessionTable sessions, StateStore store, VmStarter starter, TimeProvider clock)
{
    private readonly ConcurrentDictionary<VmSession, AgentPorts> _ports = new();

    /// <summary>For the agent of a guest that has just been started to be there, and for a port to be free.</summary>
    internal static TimeSpan Patience { get; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// Makes sure that the VM runs and has a free port with an agent. SHAPE of a command: docs/guest-channels.md, "Agent ports". ERRORS: MgmtException, of a start also those of
    /// <see cref="VmStarter"/>; MgmtTimeoutError when nobody answers in the guest.
    /// </summary>
    internal async Task<GuestService> OpenAsync(VmName target, (string Vm, long Call) source, string command, bool autostart, CancellationToken cancellation)
    {
        var vm = store.Current.Find(target) ?? throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", target.Value);
        if (vm.Status.State == VmState.Halted && autostart)
        {
            await starter.StartAsync(target, cancellation);
        }
        var session = sessions.Find(target) ?? throw new MgmtException(ErrorCode.QubesVMNotRunningError, "Domain is not running: '%s'", target.Value);
        if (session.Vm.Ports is not { AgentCount: > 0 } ports)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s has no agent port", target.Value);
        }
        using var late = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            return await OpenAsync(session, ports, source, command, either.Token);
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "No agent port of %s was free and answered within %s s", target.Value, Patience.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        catch (IOException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "%s ended, or its agent port: %s", target.Value, error.Message);
        }
    }

    private async Task<GuestService> OpenAsync(VmSession session, IGuestPorts ports, (string Vm, long Call) source, string command, CancellationToken cancellation)
    {
        var held = await Ports(session, ports.AgentCount).TakeAsync(source.Vm, source.Call, cancellation);
        Stream? stream = null;
        try
        {
            stream = await ports.ConnectAgentAsync(held.Port, cancellation);
            await GuestCommand.AwaitAgentAsync(stream, cancellation);
            return new GuestService(stream, held, command, clock);
        }
        catch
        {
            await (stream?.DisposeAsync() ?? ValueTask.CompletedTask);
            held.Dispose();
            throw;
        }
    }

    /// <summary>Who has the agent's ports of a VM that runs, by number.</summary>
    internal IReadOnlyList<AgentPorts.PortUse> Uses(VmSession session) =>
        session.Vm.Ports is { AgentCount: > 0 } ports ? _ports.TryGetValue(session, out var known) ? known.Uses : AgentPorts.Unused(ports.AgentCount) : [];

    private AgentPorts Ports(VmSession session, int count) => _ports.GetOrAdd(session, key =>
    {
        var made = new AgentPorts(count);
        // With the VM's process its ports end.
        _ = session.Vm.Exited.ContinueWith(gone => _ports.TryRemove(key, out var left), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        return made;
    });
}

/// <summary>A service in a guest that a port waits for; disposing gives the port back.</summary>
internal sealed class GuestService(Stream port, AgentPorts.Held held, string command, TimeProvider clock) : IService, IAsyncDisposable
{
    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(30);

    public async Task<int> RunAsync(GuestCall call, CancellationToken cancellation) => await GuestCommand.RunAsync(
        port, command, call.Input.AsStream(leaveOpen: true), (stream, bytes, token) => stream == MessageType.DataStderr ? call.WriteErrorAsync(bytes, token) : call.WriteAsync(bytes, token),
        AnswerDeadline, clock, cancellation);

    public async ValueTask DisposeAsync()
    {
        // The agent ends what it still runs when the port hangs up.
        await port.DisposeAsync();
        held.Dispose();
    }
}
