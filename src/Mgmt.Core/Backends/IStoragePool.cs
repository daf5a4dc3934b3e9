using System.Collections.Immutable;
using System.IO.Pipelines;

namespace Mgmt.Core;

/// <summary>A storage pool at work. Listing and usage are served from memory; the rest touches disks and may take long.</summary>
public interface IStoragePool : IAsyncDisposable
{
    /// <summary>What is configured.</summary>
    PoolRecord Record { get; }

    /// <summary>Capacity and use in bytes, as of a moment ago.</summary>
    PoolUsage Usage { get; }

    /// <summary>The ids of the volumes it holds, sorted.</summary>
    ImmutableArray<Vid> Volumes { get; }

    /// <summary>Bytes a volume takes on disk, as of a moment ago; 0 when it holds nothing yet.</summary>
    long UsageBytes(Vid vid);

    /// <summary>Makes a volume, empty; for snap_on_start ones only what their record needs. Durable when it returns. ERRORS: StoragePoolException, MgmtNoSpaceError.</summary>
    Task CreateAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>Fills a stopped volume with exactly <paramref name="sizeBytes"/> raw bytes; on any failure it stays as it was. ERRORS: ProtocolError (too few or too many bytes), StoragePoolException, MgmtNoSpaceError.</summary>
    Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, CancellationToken cancellation);

    /// <summary>Removes a volume and all that belongs to it. Removing what is not there does nothing.</summary>
    Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>Makes a volume ready for a run: a fresh snapshot of its source, a fresh scratch file, or itself. ERRORS: StoragePoolException, MgmtNoSpaceError, QubesVolumeNotFoundError.</summary>
    Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>After a run: drops what is not saved, keeps revisions of what is. Repeating it does nothing.</summary>
    Task StopAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>Whether the source of a running snapshot changed since it was made.</summary>
    bool IsOutdated(VolumeRecord volume);

    /// <summary>Opens a kernel of a kernels pool. ERRORS: QubesVolumeNotFoundError, StoragePoolException when the pool holds no kernels.</summary>
    BootImage OpenKernel(string kernel);
}
