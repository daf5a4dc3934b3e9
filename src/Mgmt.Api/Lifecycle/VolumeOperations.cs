using System.Globalization;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// What callers do to volumes, by their VM or by their pool. Each takes the VM's gate, looks at its state, has the pool do the work, and then writes
/// the record and the event in one transaction. SOURCE: docs/storage.md, "What callers can do".
/// </summary>
public sealed partial class VolumeOperations(LifecycleServices services)
{
    private const int SectorBytes = 512;
    private readonly LiveSnapshots _snapshots = new(services);

    /// <summary>The tokens of CloneFrom.</summary>
    public CloneTokens Tokens { get; } = new(services.Clock);

    /// <summary>Keeps what a volume holds now, also of a running VM. ERRORS: those of <see cref="LiveSnapshots.TakeAsync"/>; MgmtUnavailableError in state NA.</summary>
    public async Task<Revision> SnapshotAsync(VolumeAddress address, SnapshotWish wish, long call, CancellationToken cancellation)
    {
        var (vm, volume) = address.In(services.Store.Current);
        RequireKnown(vm);
        RequireDisk(vm, volume);
        await using var progress = new ProgressEvents(services.Store, vm.Name, "snapshot", call, services.Clock, volume.SizeBytes);
        var made = await _snapshots.TakeAsync(vm.Name, volume.Name, wish.Name, wish.Pinned, wish.Quiesce, progress, cancellation);
        progress.Complete();
        return made;
    }

    /// <summary>Removes a revision. ERRORS: QubesVolumeRevisionNotFoundError; StoragePoolException for a pinned one without <paramref name="force"/>.</summary>
    public async Task RemoveRevisionAsync(VolumeAddress address, RevisionId revision, bool force, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = address.In(services.Store.Current);
        RequireDisk(vm, volume);
        await services.Pools.Get(volume.Pool).RemoveRevisionAsync(volume, revision, force, cancellation);
    }

    /// <summary>
    /// Gives a volume of a halted VM what a revision holds; what it held is kept as a revision.
    /// ERRORS: QubesVMNotHaltedError, MgmtUnavailableError (NA), QubesVolumeRevisionNotFoundError, StoragePoolException, MgmtNoSpaceError.
    /// </summary>
    public async Task RevertAsync(VolumeAddress address, RevisionId revision, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = Halted(address);
        var size = await services.Pools.Get(volume.Pool).RevertAsync(volume, revision, cancellation);
        await services.Store.ApplyAsync(change =>
        {
            change.SetSize(address, size);
            change.Emit(Happened(vm, "volume-revert", volume, ("revision", revision.Value)));
        }, CancellationToken.None);
    }

    /// <summary>
    /// Gives a volume another size; a running guest sees it. Smaller only with <paramref name="force"/> and halted.
    /// ERRORS: QubesValueError, QubesVMNotHaltedError (smaller), MgmtUnavailableError, StoragePoolException (read-only, a snapshot of another one, smaller without force), MgmtNoSpaceError.
    /// </summary>
    public async Task ResizeAsync(VolumeAddress address, long sizeBytes, bool force, CancellationToken cancellation)
    {
        CheckSize(sizeBytes);
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = address.In(services.Store.Current);
        RequireKnown(vm);
        RequireResizable(vm, volume, sizeBytes, force);
        var pool = services.Pools.Get(volume.Pool);
        if (vm.Status.State == VmState.Halted)
        {
            await pool.ResizeAsync(volume, sizeBytes, inUse: false, cancellation);
        }
        else
        {
            var session = services.Sessions.Get(vm.Name);
            if (session.HasEnded)
            {
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s is ending", vm.Name.Value);
            }
            await pool.ResizeAsync(volume, sizeBytes, inUse: true, cancellation);
            await session.Vm.ResizeDiskAsync(volume.Name, sizeBytes, cancellation);
        }
        await services.Store.ApplyAsync(change =>
        {
            change.SetSize(address, sizeBytes);
            change.Emit(Happened(vm, "volume-resize", volume));
        }, CancellationToken.None);
    }

    /// <summary>ERRORS: QubesValueError.</summary>
    internal static void CheckSize(long sizeBytes)
    {
        if (sizeBytes <= 0 || sizeBytes % SectorBytes != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "Volume size has to be a positive multiple of 512, not %s", sizeBytes.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static void RequireResizable(VmRecord vm, VolumeRecord volume, long sizeBytes, bool force)
    {
        if (!volume.Writable)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Can not resize readonly volume");
        }
        if (volume.SnapOnStart)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Cannot resize volume based on a template - resize the template instead");
        }
        if (sizeBytes >= volume.SizeBytes)
        {
            return;
        }
        if (!force)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s of %s has %s bytes; making it smaller loses what is beyond and needs force",
                volume.Name.Wire(), vm.Name.Value, volume.SizeBytes.ToString(CultureInfo.InvariantCulture));
        }
        RequireHalted(vm);
    }

    /// <summary>A volume of a VM that is halted and stays so while its gate is held.</summary>
    private (VmRecord Vm, VolumeRecord Volume) Halted(VolumeAddress address)
    {
        var (vm, volume) = address.In(services.Store.Current);
        RequireHalted(vm);
        RequireDisk(vm, volume);
        return (vm, volume);
    }

    private static void RequireHalted(VmRecord vm)
    {
        RequireKnown(vm);
        if (vm.Status.State != VmState.Halted)
        {
            throw new MgmtException(ErrorCode.QubesVMNotHaltedError, "Domain is not powered off: '%s'", vm.Name.Value);
        }
    }

    private static void RequireKnown(VmRecord vm)
    {
        if (vm.Status.State == VmState.NA)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The state of %s is unknown: its process does not answer; Kill ends it", vm.Name.Value);
        }
    }

    private static void RequireDisk(VmRecord vm, VolumeRecord volume)
    {
        if (volume.Name == VolumeName.Kernel)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume kernel of %s is a kernel of its pool and no disk of its own", vm.Name.Value);
        }
    }

    private static MgmtEvent Happened(VmRecord vm, string name, VolumeRecord volume, params ReadOnlySpan<(string Key, string Value)> more) =>
        MgmtEvent.Of(vm.Name, name, [("volume", volume.Name.Wire()), .. more]);
}
