namespace Mgmt.Core;

/// <summary>
/// The ports of a running VM that a guest calls the host on: byte streams that the VM's process holds, so who is at the other end is that VM and nobody else.
/// SOURCE: docs/guest-channels.md.
/// </summary>
public interface IGuestPorts
{
    /// <summary>How many there are; they are numbered from 0.</summary>
    int Count { get; }

    /// <summary>Connects to a port; one connection at a time. ERRORS: MgmtUnavailableError when there is none to be had now.</summary>
    Task<Stream> ConnectAsync(int port, CancellationToken cancellation);

    /// <summary>How many ports there are on which an agent in the guest waits to be asked to run something; numbered from 0.</summary>
    int AgentCount { get; }

    /// <summary>Connects to a port of the agent; one connection at a time. ERRORS: as for <see cref="ConnectAsync"/>.</summary>
    Task<Stream> ConnectAgentAsync(int port, CancellationToken cancellation);

    /// <summary>Whether a process in the guest has the port open now. ERRORS: MgmtTimeoutError, MgmtUnavailableError.</summary>
    Task<bool> IsOpenAsync(int port, CancellationToken cancellation);

    /// <summary>What was last told of it, without asking; null when nothing was.</summary>
    bool? IsOpen(int port);

    /// <summary>A port was opened or closed in the guest. Nothing that takes it may wait.</summary>
    event Action<GuestPortChange>? Changed;
}
