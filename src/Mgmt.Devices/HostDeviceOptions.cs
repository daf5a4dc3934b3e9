namespace Mgmt.Devices;

/// <summary>Where the devices of a host are read from. All paths are absolute.</summary>
public sealed record HostDeviceOptions
{
    /// <summary>Where sysfs is.</summary>
    public string SysRoot { get; init; } = "/sys";

    /// <summary>Where proc is.</summary>
    public string ProcRoot { get; init; } = "/proc";

    /// <summary>Where the nodes of devices are.</summary>
    public string DevRoot { get; init; } = "/dev";

    /// <summary>Directories whose files can be attached as disks.</summary>
    public IReadOnlyList<string> ExportedFiles { get; init; } = [];

    /// <summary>Directories of the daemon's own: loop devices on files below them are not offered.</summary>
    public IReadOnlyList<string> OwnDirectories { get; init; } = [];

    /// <summary>What VMs record from, as QEMU names it; empty: there is no microphone.</summary>
    public string AudioBackend { get; init; } = "";

    /// <summary>Whether the kernel's device events and changes of mounts are followed; otherwise only a look now and then.</summary>
    public bool FollowKernel { get; init; } = true;

    /// <summary>How long changes are gathered before a look.</summary>
    public TimeSpan Gathering { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The longest time without a look.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(60);
}
