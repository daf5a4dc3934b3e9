using System.Collections.Concurrent;
using Mgmt.Api;
using Mgmt.Core;
using Mgmt.Qrexec;
using Mgmt.State;

namespace Mgmt.Daemon;

/// <summary>
/// Services in guests: over the ports on which their mgmt-agent waits, or of an agent of Qubes OS on vchan sockets. A VM is started for a call where the policy lets it. A call has a port for
/// itself; a VM that calls may have all of another's ports but one, so that its calls wait for each other before they keep a third VM waiting.
/// </summary>
internal sealed class GuestServices(SessionTable sessions, StateStore store, VmStarter starter, PropertyTable properties, AgentLinks? agents, TimeProvider clock)
{
    private readonly ConcurrentDictionary<VmSession, AgentPorts> _ports = new();

    /// <summary>For the agent of a guest that has just been started to be there, and for a port to be free.</summary>
    internal static TimeSpan Patience { get; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// Makes sure that the VM runs and has an agent, which has room for the command. SHAPE of one: docs/guest-channels.md, "Agent ports". ERRORS: MgmtException, of a start also those of
    /// <see cref="VmStarter"/>; MgmtTimeoutError when nobody answers in the guest.
    /// </summary>
    internal async Task<GuestService> OpenAsync(VmName target, (string Vm, long Call) source, GuestCommandLine command, bool autostart, CancellationToken cancellation)
    {
        var vm = store.Current.Find(target) ?? throw new MgmtException(ErrorCode.QubesVMNotFoundError, "No such domain: '%s'", target.Value);
        if (vm.Status.State == VmState.Halted && autostart)
        {
            await starter.StartAsync(target, cancellation);
        }
        var session = sessions.Find(target) ?? throw new MgmtException(ErrorCode.QubesVMNotRunningError, "Domain is not running: '%s'", target.Value);
        using var late = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            return await OpenAsync(vm, session, source, command, either.Token);
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "No agent of %s was free and answered within %s s", target.Value, Patience.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        catch (IOException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "%s ended, or its agent port: %s", target.Value, error.Message);
        }
    }

    /// <summary>By whichever agent is there first.</summary>
    private async Task<GuestService> OpenAsync(VmRecord vm, VmSession session, (string Vm, long Call) source, GuestCommandLine command, CancellationToken cancellation)
    {
        var ports = session.Vm.Ports is { AgentCount: > 0 } some ? some : null;
        if (agents is null)
        {
            return await OpenPortAsync(session, ports ?? throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s has no agent port", session.Name.Value), source, command, cancellation);
        }
        using var other = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var byPort = ports is null ? null : OpenPortAsync(session, ports, source, command, other.Token);
        var byLink = agents.GreetedAsync(session, other.Token);
        if (byPort is not null && await Task.WhenAny(byLink, byPort) == byPort)
        {
            await other.CancelAsync();
            await Task.WhenAny(byLink);
            return await byPort;
        }
        var link = await byLink;
        await other.CancelAsync();
        await DropAsync(byPort);
        // An agent of Qubes OS knows no default user: it is told a name.
        var user = command.User ?? (properties.Text(store.Current, vm, "default_user") is { Length: > 0 } name ? name : "root");
        var opened = link.Open((command with { User = user }).Text, isJustStarted: false);
        return new GuestService((input, output, token) => opened.RunAsync(input, output, token), opened.DisposeAsync);
    }

    private async Task<GuestService> OpenPortAsync(VmSession session, IGuestPorts ports, (string Vm, long Call) source, GuestCommandLine command, CancellationToken cancellation)
    {
        var held = await Ports(session, ports.AgentCount).TakeAsync(source.Vm, source.Call, cancellation);
        Stream? stream = null;
        try
        {
            stream = await ports.ConnectAgentAsync(held.Port, cancellation);
            await GuestCommand.AwaitAgentAsync(stream, cancellation);
            return new GuestService((input, output, token) => GuestCommand.RunAsync(stream, command.Text, input, output, GuestService.AnswerDeadline, clock, token), async () =>
            {
                // The agent ends what it still runs when the port hangs up.
                await stream.DisposeAsync();
                held.Dispose();
            });
        }
        catch
        {
            await (stream?.DisposeAsync() ?? ValueTask.CompletedTask);
            held.Dispose();
            throw;
        }
    }

    /// <summary>What was cancelled and may have come about all the same.</summary>
    private static async Task DropAsync(Task<GuestService>? service)
    {
        if (service is not null && await Task.WhenAny(service) is { IsCompletedSuccessfully: true })
        {
            await service.Result.DisposeAsync();
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
