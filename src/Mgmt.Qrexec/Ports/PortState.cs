namespace Mgmt.Qrexec;

/// <summary>How a port is: whether the host is connected, whether the guest has it open (null: not known yet), and the call that has it.</summary>
public sealed record PortState(bool IsConnected, bool? IsOpen, GuestCall? Call);
