using System.Collections.Immutable;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>What callers do with images. An image that a VM has for a disk is neither renamed nor removed, and not marked while the VM is not halted.</summary>
public sealed class ImageOperations(StateStore store, PoolSet pools)
{
    /// <summary>The images of a pool. ERRORS: QubesPoolNotFoundError, MgmtUnavailableError, StoragePoolException for a pool of another driver.</summary>
    public ImmutableArray<MachineImage> List(PoolName pool) => Images(pool).Images;

    /// <summary>ERRORS: as <see cref="IImagePool.CloneImageAsync"/>.</summary>
    public Task CloneAsync(PoolName pool, Vid image, Vid newName, bool readOnly, CancellationToken cancellation) => Images(pool).CloneImageAsync(image, newName, readOnly, cancellation);

    /// <summary>ERRORS: QubesVMInUseError; those of <see cref="IImagePool.RemoveImageAsync"/>.</summary>
    public Task RemoveAsync(PoolName pool, Vid image, bool force, CancellationToken cancellation)
    {
        RequireUnused(pool, image, _ => true);
        return Images(pool).RemoveImageAsync(image, force, cancellation);
    }

    /// <summary>ERRORS: QubesVMInUseError; those of <see cref="IImagePool.RenameImageAsync"/>.</summary>
    public Task RenameAsync(PoolName pool, Vid image, Vid newName, CancellationToken cancellation)
    {
        RequireUnused(pool, image, _ => true);
        return Images(pool).RenameImageAsync(image, newName, cancellation);
    }

    /// <summary>ERRORS: QubesVMInUseError while a VM runs on it; those of <see cref="IMachineImages"/>.</summary>
    public Task SetReadOnlyAsync(PoolName pool, Vid image, bool readOnly, CancellationToken cancellation)
    {
        RequireUnused(pool, image, vm => vm.Status.State != VmState.Halted);
        return Images(pool).SetReadOnlyAsync(image, readOnly, cancellation);
    }

    /// <summary>ERRORS: those of <see cref="IMachineImages"/>.</summary>
    public Task SetLimitAsync(PoolName pool, Vid image, long? sizeBytes, CancellationToken cancellation) => Images(pool).SetLimitAsync(image, sizeBytes, cancellation);

    /// <summary>ERRORS: those of <see cref="IMachineImages"/>.</summary>
    public Task SetPoolLimitAsync(PoolName pool, long? sizeBytes, CancellationToken cancellation) => Images(pool).SetPoolLimitAsync(sizeBytes, cancellation);

    private IImagePool Images(PoolName name) => pools.Get(name) as IImagePool
        ?? throw new MgmtException(ErrorCode.StoragePoolException, "Pool %s keeps no images of the host", name.Value);

    private void RequireUnused(PoolName pool, Vid image, Func<VmRecord, bool> counts)
    {
        if (store.Current.Vms.Values.FirstOrDefault(vm => counts(vm) && vm.Volumes.Values.Any(volume => volume.Pool == pool && volume.Vid == image)) is { } user)
        {
            throw new MgmtException(ErrorCode.QubesVMInUseError, "Image %s is a disk of the VM %s", image.Value, user.Name.Value);
        }
    }
}
