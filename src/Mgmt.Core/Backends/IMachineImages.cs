using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>
/// The images of the host's registry of machines (systemd-machined). Every call has a deadline. ERRORS of all: MgmtUnavailableError (no registry),
/// MgmtTimeoutError (no answer in time; what became of a change is unknown until looked at again), QubesVolumeNotFoundError (no such image),
/// MgmtUnsupportedError (not for this kind of image or file system), MgmtNoSpaceError, StoragePoolException (any other refusal, with the registry's words).
/// </summary>
public interface IMachineImages
{
    /// <summary>All images that can be listed, and the directory that holds them.</summary>
    Task<MachineImageList> ListAsync(CancellationToken cancellation);

    /// <summary>One image with its path and limit, asked anew.</summary>
    Task<MachineImage> GetAsync(string name, CancellationToken cancellation);

    /// <summary>Makes a copy under a new name, sharing blocks where the file system can.</summary>
    Task CloneAsync(string name, string newName, bool readOnly, CancellationToken cancellation);

    /// <summary>Removes an image. The registry itself removes read-only ones too.</summary>
    Task RemoveAsync(string name, CancellationToken cancellation);

    /// <summary>Gives an image another name.</summary>
    Task RenameAsync(string name, string newName, CancellationToken cancellation);

    /// <summary>Sets or clears the read-only mark.</summary>
    Task MarkReadOnlyAsync(string name, bool readOnly, CancellationToken cancellation);

    /// <summary>Limits what an image may take on disk, in bytes; null: no limit. Only subvolumes of btrfs with quotas can be limited.</summary>
    Task SetLimitAsync(string name, long? sizeBytes, CancellationToken cancellation);

    /// <summary>Limits all images together, in bytes; null: no limit. Only where their directory is on btrfs.</summary>
    Task SetPoolLimitAsync(long? sizeBytes, CancellationToken cancellation);
}

/// <summary>The images, and of their directory: its path, use and limit in bytes, null where the registry does not know them.</summary>
public sealed record MachineImageList(string Directory, long? UsedBytes, long? LimitBytes, ImmutableArray<MachineImage> Images);

/// <summary>
/// An image. Type is <c>raw</c>, <c>directory</c>, <c>subvolume</c> or <c>block</c>. Path and LimitBytes (of a raw image: its virtual size) are known of an image
/// that was asked for alone, else "" and null. UsedBytes is null where the registry does not know it.
/// </summary>
public sealed record MachineImage(string Name, string Type, bool ReadOnly, long? UsedBytes)
{
    /// <summary>Where it is on disk; "" in lists.</summary>
    public string Path { get; init; } = "";

    /// <summary>The limit of its size in bytes; null in lists and where there is none.</summary>
    public long? LimitBytes { get; init; }
}
