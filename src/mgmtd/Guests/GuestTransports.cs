namespace Mgmt.Daemon;

/// <summary>What guests' calls can come on beside the ports of their QEMU, and what keeps connections over a restart. <paramref name="Agents"/> is null where there is no directory of vchan sockets.</summary>
internal sealed record GuestTransports(AgentLinks? Agents, GuestVsock Vsock, DescriptorStore Descriptors);
