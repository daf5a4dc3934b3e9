namespace Mgmt.Api;

/// <content>Settings of volumes.</content>
public sealed partial class VolumeOperations
{
    /// <summary>How many revisions a volume keeps, from its next stop or snapshot on; -1: its VM runs on the volume itself. ERRORS: QubesValueError, StoragePoolException (a kernel).</summary>
    public async Task SetRevisionsToKeepAsync(VolumeAddress address, int count, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        await services.Store.ApplyAsync(change => change.SetVolume(address, volume =>
        {
            RequireDisk(change.State.Get(address.Vm), volume);
            return volume with { RevisionsToKeep = count };
        }), CancellationToken.None);
    }

    /// <summary>Whether the VM may write a volume. ERRORS: QubesVMNotHaltedError, MgmtUnavailableError (NA), StoragePoolException (a kernel).</summary>
    public async Task SetWritableAsync(VolumeAddress address, bool writable, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        Halted(address);
        await services.Store.ApplyAsync(change => change.SetVolume(address, volume => volume with { Writable = writable }), CancellationToken.None);
    }

    /// <summary>
    /// Whether a volume that keeps nothing is encrypted with a key that is thrown away. ERRORS: QubesVMNotHaltedError, MgmtUnavailableError (NA), StoragePoolException (it keeps something, is
    /// read-only, or its pool's driver cannot do it).
    /// </summary>
    public async Task SetEphemeralAsync(VolumeAddress address, bool ephemeral, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = Halted(address);
        if (ephemeral && volume is not { SaveOnStop: false, SnapOnStart: false, Writable: true })
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s of %s cannot be ephemeral: only a writable one that begins empty and keeps nothing can", volume.Name.Wire(), vm.Name.Value);
        }
        if (ephemeral && !services.Pools.Get(volume.Pool).CanBeEphemeral)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s of %s cannot be ephemeral: the driver of pool %s, %s, cannot encrypt",
                volume.Name.Wire(), vm.Name.Value, volume.Pool.Value, services.Pools.Get(volume.Pool).Record.Driver);
        }
        await services.Store.ApplyAsync(change => change.SetVolume(address, v => v with { Ephemeral = ephemeral }), CancellationToken.None);
    }
}
