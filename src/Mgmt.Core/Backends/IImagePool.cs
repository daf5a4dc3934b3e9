using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>
/// What a pool can do whose volumes are images that the host keeps beside us. The caller sees to it that no VM uses the image. ERRORS of all changes:
/// those of <see cref="IMachineImages"/>.
/// </summary>
public interface IImagePool
{
    /// <summary>Its images, sorted by name. Served from memory.</summary>
    ImmutableArray<MachineImage> Images { get; }

    /// <summary>Makes a copy of an image under a new name. ERRORS: StoragePoolException (the name is taken, or is none for an image).</summary>
    Task CloneImageAsync(Vid image, Vid newName, bool readOnly, CancellationToken cancellation);

    /// <summary>Removes an image. ERRORS: StoragePoolException for a read-only one without <paramref name="force"/>, and for one in use.</summary>
    Task RemoveImageAsync(Vid image, bool force, CancellationToken cancellation);

    /// <summary>Gives an image another name. ERRORS: StoragePoolException (the name is taken, or is none for an image; the image is in use).</summary>
    Task RenameImageAsync(Vid image, Vid newName, CancellationToken cancellation);

    /// <summary>Sets or clears the read-only mark.</summary>
    Task SetReadOnlyAsync(Vid image, bool readOnly, CancellationToken cancellation);

    /// <summary>Limits what an image may take on disk, in bytes; null: no limit.</summary>
    Task SetLimitAsync(Vid image, long? sizeBytes, CancellationToken cancellation);

    /// <summary>Limits the whole pool, in bytes; null: no limit.</summary>
    Task SetPoolLimitAsync(long? sizeBytes, CancellationToken cancellation);
}
