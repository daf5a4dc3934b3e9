using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>Makes VMs as copies of others: settings, and the content of the volumes that keep theirs. SOURCE: docs/storage.md, "Cloning a VM".</summary>
public sealed class VmCloner(LifecycleServices services, UnfinishedVolumes unfinished)
{
    /// <summary>
    /// Copies a VM, halted or running: of a running one its volumes as they were before that run. All of it or nothing; <paramref name="call"/> is
    /// the id in its progress events. ERRORS: QubesVMAlreadyExistsError, QubesVMNotFoundError, MgmtBusyError when the source changed meanwhile, those of the pools
    /// (StoragePoolException for a volume that runs on itself).
    /// </summary>
    public async Task CloneAsync(CloneWish wish, string caller, long call, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(wish.Name, cancellation);
        var state = services.Store.Current;
        VmMaker.CheckFree(state, wish.Name);
        var source = state.Get(wish.Source);
        // The pools are looked for before anything is written down.
        var volumes = wish.Volumes(state, source);
        using var originals = await ExportAsync(source, cancellation);
        var inWork = UnfinishedVolumes.Of(volumes.Values);
        await unfinished.BeginAsync(inWork, cancellation);
        var made = new Stack<VolumeInWork>();
        try
        {
            await using var progress = new ProgressEvents(services.Store, wish.Source, "clone", call, services.Clock, originals.TotalBytes);
            volumes = await FillAsync(volumes, originals, made, progress, cancellation);
            cancellation.ThrowIfCancellationRequested();
            await services.Store.ApplyAsync(change => CloneEntry.Write(change, source, volumes, wish.Name, caller, originals.Names), CancellationToken.None);
            progress.Complete();
        }
        catch
        {
            await unfinished.EndAsync([.. inWork.Except(made)], []);
            await unfinished.RemoveAsync(made);
            throw;
        }
    }

    /// <summary>Opens all volumes that are copied at one moment: no start, stop, revert or import of the source comes between them.</summary>
    private async Task<Originals> ExportAsync(VmRecord source, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(source.Name, cancellation);
        var originals = new Originals();
        try
        {
            foreach (var volume in services.Vm(source.Name).Volumes.Values.Where(v => v.SaveOnStop))
            {
                try
                {
                    originals.Add(volume.Name, await services.Pools.Get(volume.Pool).ExportAsync(volume, null, cancellation));
                }
                catch (MgmtException error) when (error.Code == ErrorCode.QubesVolumeNotFoundError && volume.SnapOnStart)
                {
                    // It never ran: it still begins as its source, and so does the copy.
                }
            }
            return originals;
        }
        catch
        {
            originals.Dispose();
            throw;
        }
    }

    private async Task<ImmutableSortedDictionary<VolumeName, VolumeRecord>> FillAsync(
        ImmutableSortedDictionary<VolumeName, VolumeRecord> volumes, Originals originals, Stack<VolumeInWork> made, ProgressEvents progress, CancellationToken cancellation)
    {
        var before = 0L;
        foreach (var volume in volumes.Values.Where(v => v.Name != VolumeName.Kernel))
        {
            var pool = services.Pools.Get(volume.Pool);
            var original = originals.Find(volume.Name);
            var sized = original is null ? volume : volume with { SizeBytes = original.SizeBytes };
            await pool.CreateAsync(sized, cancellation);
            made.Push(new(volume.Pool, volume.Vid!.Value));
            if (original is not null)
            {
                // Nobody wants the empty volume back that the copy replaces.
                var size = await pool.CloneAsync(sized with { RevisionsToKeep = 0 }, original, new Part(progress, before, originals.TotalBytes, original.SizeBytes), cancellation);
                sized = sized with { SizeBytes = size };
                before += original.SizeBytes;
                progress.Report(new(before, originals.TotalBytes));
            }
            volumes = volumes.SetItem(volume.Name, sized);
        }
        return volumes;
    }

    /// <summary>The volumes that are copied, open.</summary>
    private sealed class Originals : IDisposable
    {
        private readonly SortedDictionary<VolumeName, OpenVolume> _open = [];

        internal long TotalBytes => _open.Values.Sum(volume => volume.SizeBytes);

        internal IReadOnlyCollection<VolumeName> Names => _open.Keys;

        internal void Add(VolumeName name, OpenVolume open) => _open.Add(name, open);

        internal OpenVolume? Find(VolumeName name) => _open.GetValueOrDefault(name);

        public void Dispose()
        {
            foreach (var open in _open.Values)
            {
                open.Dispose();
            }
        }
    }

    /// <summary>One volume's part of the whole: a pool counts what it copies, which may be less than the volume's size.</summary>
    private sealed class Part(ProgressEvents whole, long beforeBytes, long totalBytes, long sizeBytes) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value) => whole.Report(new(
            beforeBytes + (value.TotalBytes <= 0 ? 0 : (long)((double)Math.Min(value.DoneBytes, value.TotalBytes) / value.TotalBytes * sizeBytes)), totalBytes));
    }
}
