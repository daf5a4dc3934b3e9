namespace Mgmt.Core;

/// <summary>Something a running VM did.</summary>
public abstract record VmSignal
{
    private VmSignal()
    {
    }

    /// <summary>The agent came, went, or fell silent.</summary>
    public sealed record AgentChanged(AgentState State) : VmSignal;

    /// <summary>The virtual processors stopped without our asking: <c>io-error</c>, <c>no-space</c>, <c>guest-panicked</c>, <c>outside</c>.</summary>
    public sealed record Stopped(string Reason) : VmSignal;

    /// <summary>The virtual processors run again without our asking.</summary>
    public sealed record Resumed : VmSignal;

    /// <summary>The guest suspended itself to memory.</summary>
    public sealed record SuspendedByGuest : VmSignal;

    /// <summary>The guest woke up.</summary>
    public sealed record WokenUp : VmSignal;

    /// <summary>The guest rebooted in place.</summary>
    public sealed record Reset : VmSignal;

    /// <summary>The guest is powering off; the process is about to end.</summary>
    public sealed record GuestShutdown(string Reason) : VmSignal;

    /// <summary>A device is not attached any more without our waiting for it.</summary>
    public sealed record DeviceGone(DeviceAddress Device) : VmSignal;

    /// <summary>Something about it is degraded, or mended.</summary>
    public sealed record FaultChanged(string Fault, bool Set) : VmSignal;

    /// <summary>The process is gone; always the last signal.</summary>
    public sealed record Exited(VmExit Exit) : VmSignal;
}
