namespace Mgmt.Qemu;

/// <summary>How this host runs VMs. All paths are absolute.</summary>
public sealed record QemuOptions
{
    /// <summary>The URI the backend answers to, such as <c>qemu:///system</c>.</summary>
    public string Uri { get; init; } = "qemu:///system";
    /// <summary>The daemon's run directory; a VM's own is <c>vm/QID-NAME</c> below it. Short: a socket's path has 107 bytes in all.</summary>
    public required string RunDirectory { get; init; }
    /// <summary>Whether each VM's process gets a uid of its own (needs root). Otherwise it keeps the daemon's.</summary>
    public bool System { get; init; }
    /// <summary>
    /// A VM's uid and gid are this plus its qid. The default lies in 1879048192…2147483647, which no distribution, container
    /// manager or directory service hands out (systemd's docs/UIDS-GIDS).
    /// </summary>
    public int UidBase { get; init; } = 1_900_000_000;
    /// <summary>The emulator, a path or a name looked up in PATH.</summary>
    public string QemuBinary { get; init; } = "qemu-system-x86_64";
    /// <summary>Ports on which a guest calls the host, 0 to 16. SOURCE: docs/guest-channels.md.</summary>
    public int GuestPorts { get; init; } = 8;
    /// <summary>Ports on which the host asks a guest to run something, 0 to 8.</summary>
    public int GuestAgentPorts { get; init; } = 2;
    /// <summary>Whether a guest can call over vsock too. SOURCE: docs/guest-channels.md.</summary>
    public bool Vsock { get; init; }
    /// <summary>The kernel's device for that; without it VMs start without vsock, and are marked <c>vsock</c>.</summary>
    public string VsockDevice { get; init; } = "/dev/vhost-vsock";
    /// <summary>MiB of translated code a VM keeps under TCG.</summary>
    public int TcgCacheMiB { get; init; } = 64;
    /// <summary>Bytes a second that a snapshot of a running VM copies at most; 0 is no limit.</summary>
    public long CopyBytesPerSecond { get; init; }
    /// <summary>Places for devices that are attached while a VM runs, PCIe ports; 1 to 24. A USB controller, once there is a USB device, takes one.</summary>
    public int DevicePorts { get; init; } = 16;
    /// <summary>What a microphone records from: <c>none</c> (silence) or <c>alsa</c>; empty: VMs have no microphone.</summary>
    public string AudioBackend { get; init; } = "";
    /// <summary>For a guest to let go of a device.</summary>
    public TimeSpan DetachTimeout { get; init; } = TimeSpan.FromSeconds(15);
    /// <summary>For a new process to greet on its control socket.</summary>
    public TimeSpan LaunchTimeout { get; init; } = TimeSpan.FromSeconds(20);
    /// <summary>For one command on the control socket.</summary>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(10);
    /// <summary>For one control socket of a process to adopt; there are two.</summary>
    public TimeSpan AdoptTimeout { get; init; } = TimeSpan.FromSeconds(3);
    /// <summary>For a killed process to be gone.</summary>
    public TimeSpan KillTimeout { get; init; } = TimeSpan.FromSeconds(10);
    /// <summary>For the few bytes of guest code that show whether KVM works.</summary>
    public TimeSpan ProbeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The CID of a VM: as unique on this host as the uid of the same number, and far above those that others begin to count from.</summary>
    internal uint VsockCid(int qid) => (uint)(UidBase + qid);
}
