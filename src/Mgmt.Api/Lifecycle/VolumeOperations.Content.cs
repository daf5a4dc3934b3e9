using System.Globalization;
using System.IO.Pipelines;

namespace Mgmt.Api;

/// <content>Other content for the volume of a halted VM.</content>
public sealed partial class VolumeOperations
{
    /// <summary>
    /// Fills a volume with raw bytes as they come: exactly its size, or, with <paramref name="sizeBytes"/>, exactly that many, which then is its size.
    /// What fails leaves it as it was. ERRORS: ProtocolError (too few or too many bytes), QubesVMNotHaltedError, MgmtUnavailableError (NA), StoragePoolException, MgmtNoSpaceError.
    /// </summary>
    public async Task ImportAsync(VolumeAddress address, PipeReader data, long? sizeBytes, long call, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = Halted(address);
        var size = sizeBytes ?? volume.SizeBytes;
        CheckSize(size);
        var pool = services.Pools.Get(volume.Pool);
        await services.Store.ApplyAsync(change => change.Emit(Happened(vm, "domain-volume-import-begin", volume, ("size", size.ToString(CultureInfo.InvariantCulture)))), CancellationToken.None);
        var done = false;
        try
        {
            await FollowAsync(vm, "import", call, size, progress => pool.ImportAsync(volume, data, size, progress, cancellation));
            await services.Store.ApplyAsync(change =>
            {
                change.SetSize(address, size);
                change.Emit(Happened(vm, "domain-volume-import-end", volume, ("success", Parse.Text(true))));
                change.Emit(Happened(vm, "volume-import", volume));
            }, CancellationToken.None);
            done = true;
        }
        finally
        {
            if (!done)
            {
                await services.Store.ApplyAsync(change => change.Emit(Happened(vm, "domain-volume-import-end", volume, ("success", Parse.Text(false)))), CancellationToken.None);
            }
        }
    }

    /// <summary>Empties a volume; its size stays. ERRORS: QubesVMNotHaltedError, MgmtUnavailableError (NA), StoragePoolException, MgmtNoSpaceError.</summary>
    public async Task ClearAsync(VolumeAddress address, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = Halted(address);
        await services.Pools.Get(volume.Pool).ClearAsync(volume, cancellation);
        await services.Store.ApplyAsync(change => change.Emit(Happened(vm, "volume-import", volume)), CancellationToken.None);
    }

    /// <summary>A token with which CloneTo copies the volume, once. ERRORS: StoragePoolException (a kernel), MgmtBusyError.</summary>
    public string CloneFrom(VolumeAddress address)
    {
        var (vm, volume) = address.In(services.Store.Current);
        RequireDisk(vm, volume);
        return Tokens.Make(address, volume);
    }

    /// <summary>
    /// Fills a volume with what the token's holds now, size and all; of a running VM that is what it held before that run. The token is used up, whatever comes of it.
    /// ERRORS: QubesVolumeCopyTokenNotFoundError, QubesVMNotHaltedError, MgmtUnavailableError (NA), StoragePoolException, MgmtNoSpaceError.
    /// </summary>
    public async Task CloneToAsync(VolumeAddress address, string token, long call, CancellationToken cancellation)
    {
        var (sourceAddress, source) = Tokens.Take(token, services.Store.Current);
        using var gate = await services.Gates.EnterAsync(address.Vm, cancellation);
        var (vm, volume) = Halted(address);
        if (sourceAddress == address)
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s of %s cannot be cloned to itself", volume.Name.Wire(), vm.Name.Value);
        }
        using var export = await services.Pools.Get(source.Pool).ExportAsync(source, null, cancellation);
        var size = 0L;
        await FollowAsync(vm, "clone", call, export.SizeBytes, async progress => size = await services.Pools.Get(volume.Pool).CloneAsync(volume, export, progress, cancellation));
        await services.Store.ApplyAsync(change =>
        {
            change.SetSize(address, size);
            change.Emit(MgmtEvent.Of(vm.Name, "domain-import-volume", ("name", volume.Name.Wire()), ("source", source.Vid?.Value ?? "")));
            change.Emit(Happened(vm, "volume-clone", volume));
        }, CancellationToken.None);
    }

    /// <summary>Does work that subscribers can follow; the last event of its progress comes before those of its outcome.</summary>
    private async Task FollowAsync(VmRecord vm, string operation, long call, long totalBytes, Func<IProgress<CopyProgress>, Task> work)
    {
        await using var progress = new ProgressEvents(services.Store, vm.Name, operation, call, services.Clock, totalBytes);
        await work(progress);
        progress.Complete();
    }
}
