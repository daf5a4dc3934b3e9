using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu;

/// <summary>A process to start: QEMU's arguments (the first is its name) and the descriptors it must inherit.</summary>
internal sealed record QemuPlan(ImmutableArray<string> Arguments, ImmutableArray<InheritedFile> Files);

/// <summary>A descriptor the child sees as Number. File is ours to pass on, or null for what the launcher makes.</summary>
internal sealed record InheritedFile(int Number, InheritedKind Kind, SafeFileHandle? File)
{
    /// <summary>Of a guest port: which.</summary>
    public int Port { get; init; }
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
    /// <summary>An image file to write and read.</summary>
    Image,
    /// <summary>An image file that must be open for reading only.</summary>
    ReadOnlyImage,
    /// <summary>A kernel or initramfs, opened again by path through /proc/self/fd, so readable to the child's uid.</summary>
    Boot,
}
