namespace Mgmt.Core;

/// <summary>
/// The process that is a running VM, kept on disk so that a later daemon finds it again. A process is ours only when
/// pid, start time and boot id all agree.
/// </summary>
public sealed record VmRun
{
    /// <summary>Process id on the host.</summary>
    public required int Pid { get; init; }
    /// <summary>Start time in clock ticks since boot (field 22 of /proc/PID/stat).</summary>
    public required ulong StartTicks { get; init; }
    /// <summary>The host's boot id; a pid of another boot is not ours.</summary>
    public required string BootId { get; init; }
    /// <summary>The id of this run, in the events of its start.</summary>
    public required Guid StartGuid { get; init; }
    /// <summary>When its virtual processors began to run.</summary>
    public required DateTimeOffset StartedAt { get; init; }
    /// <summary>The run directory with the control sockets; empty where there is none.</summary>
    public string Directory { get; init; } = "";
    /// <summary>The name at systemd-machined, or the scope's unit name, or empty.</summary>
    public string Machine { get; init; } = "";
    /// <summary>Since when its guest's file systems may be frozen by us; written down before the guest is asked, removed when they are known to be thawed.</summary>
    public DateTimeOffset? FrozenAt { get; init; }
}
