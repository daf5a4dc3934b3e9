using static Mgmt.Core.AgentJson;

namespace Mgmt.Core;

// The guest's file systems and disks.
public static partial class AgentCommands
{
    /// <summary>Whether the guest's file systems are frozen: thawed or frozen.</summary>
    public static AgentCommand<GuestNothing, string> FsfreezeStatus { get; } =
        new("guest-fsfreeze-status", "FsfreezeStatus", "Whether the guest's file systems are frozen: `thawed` or `frozen`.", Default.GuestNothing, Default.String);

    /// <summary>Freezes the guest's file systems, for 10 s at most; gives how many.</summary>
    public static AgentCommand<GuestNothing, long> FsfreezeFreeze { get; } =
        new("guest-fsfreeze-freeze", "FsfreezeFreeze", "Freezes the guest's file systems, for 10 s at most; gives how many.", Default.GuestNothing, Default.Int64);

    /// <summary>Freezes some file systems, for 10 s at most; gives how many.</summary>
    public static AgentCommand<GuestFreezeListArguments, long> FsfreezeFreezeList { get; } =
        new("guest-fsfreeze-freeze-list", "FsfreezeFreezeList", "Freezes some file systems, for 10 s at most; gives how many.", Default.GuestFreezeListArguments, Default.Int64);

    /// <summary>Thaws the guest's file systems; gives how many.</summary>
    public static AgentCommand<GuestNothing, long> FsfreezeThaw { get; } =
        new("guest-fsfreeze-thaw", "FsfreezeThaw", "Thaws the guest's file systems; gives how many.", Default.GuestNothing, Default.Int64);

    /// <summary>Tells the disks which blocks the guest's file systems do not use.</summary>
    public static AgentCommand<GuestTrimArguments, GuestTrim> Fstrim { get; } =
        new("guest-fstrim", "Fstrim", "Tells the disks which blocks the guest's file systems do not use.", Default.GuestTrimArguments, Default.GuestTrim) { Deadline = TimeSpan.FromMinutes(5) };

    /// <summary>The guest's mounted file systems.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestFilesystemInfo>> FsInfo { get; } =
        new("guest-get-fsinfo", "FsInfo", "The guest's mounted file systems.", Default.GuestNothing, Default.IReadOnlyListGuestFilesystemInfo);

    /// <summary>The guest's disks.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestDiskInfo>> Disks { get; } =
        new("guest-get-disks", "Disks", "The guest's disks.", Default.GuestNothing, Default.IReadOnlyListGuestDiskInfo);

    /// <summary>Counters of the guest's disks.</summary>
    public static AgentCommand<GuestNothing, IReadOnlyList<GuestDiskStatsInfo>> DiskStats { get; } =
        new("guest-get-diskstats", "DiskStats", "Counters of the guest's disks.", Default.GuestNothing, Default.IReadOnlyListGuestDiskStatsInfo);
}
