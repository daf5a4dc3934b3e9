using static Mgmt.Core.AgentJson;

namespace Mgmt.Core;

// The agent itself, the guest's system and power.
public static partial class AgentCommands
{
    /// <summary>Gets the agent's stream into step; the daemon's own.</summary>
    public static AgentCommand<GuestSyncArguments, long> SyncDelimited { get; } =
        new("guest-sync-delimited", "SyncDelimited", "Gets the agent's stream into step; the daemon's own.", Default.GuestSyncArguments, Default.Int64) { IsCallable = false };

    /// <summary>Echoes a number; the daemon's own.</summary>
    public static AgentCommand<GuestSyncArguments, long> Sync { get; } =
        new("guest-sync", "Sync", "Echoes a number; the daemon's own.", Default.GuestSyncArguments, Default.Int64) { IsCallable = false };

    /// <summary>Answers.</summary>
    public static AgentCommand<GuestNothing, GuestNothing> Ping { get; } =
        new("guest-ping", "Ping", "Answers.", Default.GuestNothing, Default.GuestNothing);

    /// <summary>The agent's version and commands.</summary>
    public static AgentCommand<GuestNothing, GuestAgentInfo> Info { get; } =
        new("guest-info", "Info", "The agent's version and commands.", Default.GuestNothing, Default.GuestAgentInfo);

    /// <summary>The guest's clock, nanoseconds since 1970.</summary>
    public static AgentCommand<GuestNothing, long> Time { get; } =
        new("guest-get-time", "Time", "The guest's clock, nanoseconds since 1970.", Default.GuestNothing, Default.Int64);

    /// <summary>Sets the guest's clock and then its hardware clock.</summary>
    public static AgentCommand<GuestSetTimeArguments, GuestNothing> SetTime { get; } =
        new("guest-set-time", "SetTime", "Sets the guest's clock and then its hardware clock.", Default.GuestSetTimeArguments, Default.GuestNothing) { Deadline = TimeSpan.FromSeconds(20) };

    /// <summary>Powers the guest off, halts or reboots it. After halt only Kill ends it.</summary>
    public static AgentCommand<GuestShutdownArguments, GuestNothing> Shutdown { get; } =
        new("guest-shutdown", "Shutdown", "Powers the guest off, halts or reboots it. After `halt` only Kill ends it.", Default.GuestShutdownArguments, Default.GuestNothing) { Answers = false };

    /// <summary>Suspends the guest to its disk.</summary>
    public static AgentCommand<GuestNothing, GuestNothing> SuspendDisk { get; } =
        new("guest-suspend-disk", "SuspendDisk", "Suspends the guest to its disk.", Default.GuestNothing, Default.GuestNothing) { Answers = false, Listening = TimeSpan.FromSeconds(3) };

    /// <summary>Suspends the guest to memory.</summary>
    public static AgentCommand<GuestNothing, GuestNothing> SuspendRam { get; } =
        new("guest-suspend-ram", "SuspendRam", "Suspends the guest to memory.", Default.GuestNothing, Default.GuestNothing) { Answers = false, Listening = TimeSpan.FromSeconds(3) };

    /// <summary>Suspends the guest to memory after saving it to disk.</summary>
    public static AgentCommand<GuestNothing, GuestNothing> SuspendHybrid { get; } =
        new("guest-suspend-hybrid", "SuspendHybrid", "Suspends the guest to memory after saving it to disk.", Default.GuestNothing, Default.GuestNothing) { Answers = false, Listening = TimeSpan.FromSeconds(3) };

    /// <summary>The guest's operating system.</summary>
    public static AgentCommand<GuestNothing, GuestOsInfo> OsInfo { get; } =
        new("guest-get-osinfo", "OsInfo", "The guest's operating system.", Default.GuestNothing, Default.GuestOsInfo);

    /// <summary>The guest's own name.</summary>
    public static AgentCommand<GuestNothing, GuestHostName> HostName { get; } =
        new("guest-get-host-name", "HostName", "The guest's own name.", Default.GuestNothing, Default.GuestHostName);

    /// <summary>The guest's time zone.</summary>
    public static AgentCommand<GuestNothing, GuestTimezone> Timezone { get; } =
        new("guest-get-timezone", "Timezone", "The guest's time zone.", Default.GuestNothing, Default.GuestTimezone);

    /// <summary>Who is logged in in the guest.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestUser>> Users { get; } =
        new("guest-get-users", "Users", "Who is logged in in the guest.", Default.GuestNothing, Default.IReadOnlyListGuestUser);

    /// <summary>The drivers of a Windows guest.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestDeviceInfo>> Devices { get; } =
        new("guest-get-devices", "Devices", "The drivers of a Windows guest.", Default.GuestNothing, Default.IReadOnlyListGuestDeviceInfo);
}
