using System.Collections.Immutable;
using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>A process to start: QEMU's arguments (the first is its name) and the descriptors it must inherit.</summary>
internal sealed record QemuPlan(ImmutableArray<string> Arguments, ImmutableArray<InheritedFile> Files)
{
    /// <summary>The objects that hold keys of disks; they are removed once QEMU has opened the disks.</summary>
    public required ImmutableArray<string> Keys { get; init; }
}

/// <summary>A descriptor the child sees as Number. File is ours to pass on, or null for what the launcher makes.</summary>
internal sealed record InheritedFile(int Number, InheritedKind Kind, SafeFileHandle? File)
{
    /// <summary>Of a guest port: which.</summary>
    public int Port { get; init; }

    /// <summary>Of <see cref="InheritedKind.Key"/>: what is handed over.</summary>
    public VolumeKey? Key { get; init; }
}

/// <summary>What an inherited descriptor is.</summary>
internal enum InheritedKind
{
    /// <summary>The listening socket of the monitor.</summary>
    Monitor,
    /// <summary>A second one, kept unconnected for when the first is held by somebody.</summary>
    Rescue,
    /// <summary>The listening socket of the guest agent's port.</summary>
    Agent,
    /// <summary>The listening socket of one of the ports on which the guest calls.</summary>
    GuestPort,
    /// <summary>The listening socket of one of the ports on which the guest is asked to run something.</summary>
    GuestAgentPort,
    /// <summary>The kernel's vsock device, which QEMU gives to the guest.</summary>
    Vsock,
    /// <summary>An image file to write and read.</summary>
    Image,
    /// <summary>An image file that must be open for reading only.</summary>
    ReadOnlyImage,
    /// <summary>A kernel or initramfs, opened again by path through /proc/self/fd, so readable to the child's uid.</summary>
    Boot,
    /// <summary>The key of a disk, in a file in memory that is emptied once QEMU has read it.</summary>
    Key,
}
