namespace Mgmt.Api;

/// <summary>Snapshots of VMs' volumes. Of a halted VM the pool makes it; of a running one the VM copies its disk as of one moment into what becomes the revision.</summary>
public sealed class LiveSnapshots(LifecycleServices services)
{
    private static readonly TimeSpan ProgressPause = TimeSpan.FromMilliseconds(500);
    private readonly GuestFreeze _freeze = new(services);

    /// <summary>
    /// Makes a revision of what a volume holds now and says so in <c>volume-snapshot</c>. Holds the VM's gate while the moment is fixed and while the
    /// revision is entered, not while the disk is copied; a VM that ends then makes it fail. <paramref name="progress"/> is told at most twice a
    /// second, first 0 and at the end all. ERRORS: QubesVolumeNotFoundError; MgmtUnavailableError (no agent and <see cref="QuiesceWish.Yes"/>, the VM ended or
    /// does not answer); MgmtTimeoutError (not frozen in time and Yes); MgmtBusyError (the disk is being copied); MgmtNoSpaceError; StoragePoolException; MgmtCancelledError.
    /// </summary>
    public async Task<Revision> TakeAsync(
        VmName vm, VolumeName volume, string? name, bool pinned, QuiesceWish quiesce, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        LiveCopy copy;
        using (await services.Gates.EnterAsync(vm, cancellation))
        {
            var record = Volume(vm, volume);
            if (services.Vm(vm).Status.State == VmState.Halted)
            {
                var traits = new RevisionTraits(name, pinned, RevisionCause.Snapshot, Quiesced.Yes);
                return await TellAsync(vm, volume, await services.Pools.Get(record.Pool).SnapshotAsync(record, traits, cancellation));
            }
            copy = await BeginAsync(Running(vm), record, quiesce, cancellation);
        }
        await using (copy.Target)
        {
            await using (copy.Disk)
            {
                await FollowAsync(copy, progress, cancellation);
            }
            // A VM that is removed now waits for the revision, which then goes with the volume, or has been removed.
            using var gate = await services.Gates.EnterAsync(vm, cancellation);
            Volume(vm, volume);
            var traits = new RevisionTraits(name, pinned, RevisionCause.Snapshot, copy.Quiesced);
            return await TellAsync(vm, volume, await copy.Target.CompleteAsync(traits, CancellationToken.None));
        }
    }

    private async Task<LiveCopy> BeginAsync(VmSession session, VolumeRecord record, QuiesceWish quiesce, CancellationToken cancellation)
    {
        if (quiesce == QuiesceWish.Yes && !CanFreeze(session))
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The guest agent of %s is not ready", session.Name.Value);
        }
        var target = await services.Pools.Get(record.Pool).OpenSnapshotTargetAsync(record, cancellation);
        try
        {
            var (disk, quiesced) = quiesce == QuiesceWish.No || !CanFreeze(session)
                ? (await session.Vm.BeginCopyAsync(record.Name, target.Image, null, cancellation), Quiesced.No)
                : await BeginFrozenAsync(session, record.Name, target.Image, quiesce, cancellation);
            return new LiveCopy(target, disk, quiesced, record.SizeBytes);
        }
        catch
        {
            await target.DisposeAsync();
            throw;
        }
    }

    /// <summary>The freeze is to be short: it comes when all else is ready.</summary>
    private async Task<(IDiskCopy Disk, Quiesced Quiesced)> BeginFrozenAsync(
        VmSession session, VolumeName volume, ImageLayer target, QuiesceWish quiesce, CancellationToken cancellation)
    {
        FrozenGuest? guest = null;
        IDiskCopy disk;
        Quiesced quiesced;
        try
        {
            disk = await session.Vm.BeginCopyAsync(volume, target, FreezeAsync, cancellation);
            quiesced = guest?.State ?? Quiesced.No;
        }
        finally
        {
            await (guest?.ThawAsync() ?? Task.CompletedTask);
        }
        if (quiesced == Quiesced.Yes && guest!.WasThawedByOthers)
        {
            // Nobody knows since when.
            quiesced = Quiesced.TimedOut;
        }
        if (quiesce == QuiesceWish.Yes && quiesced != Quiesced.Yes)
        {
            await disk.DisposeAsync();
            throw NotQuiesced(session.Name, guest!, quiesced);
        }
        return (disk, quiesced);

        async Task FreezeAsync()
        {
            try
            {
                guest = await _freeze.FreezeAsync(session);
            }
            catch (MgmtException error) when (quiesce == QuiesceWish.Try)
            {
                Log.NotFrozen(services.Log, session.Name, error.Message);
                return;
            }
            if (quiesce == QuiesceWish.Yes && guest.State is var state && state != Quiesced.Yes)
            {
                throw NotQuiesced(session.Name, guest, state);
            }
        }
    }

    private static MgmtException NotQuiesced(VmName vm, FrozenGuest guest, Quiesced quiesced) => quiesced == Quiesced.TimedOut
        ? new MgmtException(guest.Refusal, ErrorCode.MgmtTimeoutError, "The file systems of %s were not frozen in time", vm.Value)
        : new MgmtException(guest.Refusal, ErrorCode.MgmtUnavailableError, "The file systems of %s cannot be frozen: %s", vm.Value, guest.Refusal?.Message ?? "there are none");

    private async Task FollowAsync(LiveCopy copy, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        progress?.Report(new CopyProgress(0, copy.SizeBytes));
        while (await Task.WhenAny(copy.Disk.Completed, Task.Delay(ProgressPause, services.Clock, cancellation)) != copy.Disk.Completed)
        {
            cancellation.ThrowIfCancellationRequested();
            var now = copy.Disk.Progress;
            progress?.Report(new CopyProgress(now.DoneBytes, Math.Max(now.TotalBytes, copy.SizeBytes)));
        }
        await copy.Disk.Completed;
        var total = Math.Max(copy.Disk.Progress.TotalBytes, copy.SizeBytes);
        progress?.Report(new CopyProgress(total, total));
    }

    private async Task<Revision> TellAsync(VmName vm, VolumeName volume, Revision made)
    {
        await services.Store.ApplyAsync(change => change.Emit(MgmtEvent.Of(
            vm, "volume-snapshot", ("volume", volume.Wire()), ("revision", made.Id.Value), ("quiesced", Wire(made.Traits.Quiesced)))), CancellationToken.None);
        return made;
    }

    private VolumeRecord Volume(VmName vm, VolumeName volume) => services.Vm(vm).Volumes.GetValueOrDefault(volume)
        ?? throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume: '%s'", volume.Wire());

    private VmSession Running(VmName vm) => services.Sessions.Get(vm) is { HasEnded: false } session
        ? session
        : throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s is ending", vm.Value);

    /// <summary>An agent of a guest that does not run says nothing.</summary>
    private bool CanFreeze(VmSession session) => session.Vm.Agent.State == AgentState.Ready && services.Vm(session.Name).Status.State is VmState.Running or VmState.Halting;

    private static string Wire(Quiesced quiesced) => quiesced switch
    {
        Quiesced.Yes => "yes",
        Quiesced.TimedOut => "timed-out",
        _ => "no",
    };

    private sealed record LiveCopy(ISnapshotTarget Target, IDiskCopy Disk, Quiesced Quiesced, long SizeBytes);
}
