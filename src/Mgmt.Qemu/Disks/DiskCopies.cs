using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>A VM's disks while it runs: copies of them, one at a time of each, and their size.</summary>
internal sealed class DiskCopies(string vm, Func<DiskCommands> commands, Task vmEnded, TimeSpan deadline, long bytesPerSecond, TimeProvider time, ILogger log) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    // Guarded by _gate.
    private readonly Dictionary<string, DiskCopy> _copies = [];
    private bool _disposed;

    /// <summary>Begins one; returns when the moment is fixed. ERRORS: as <see cref="IRunningVm.BeginCopyAsync"/>.</summary>
    public async Task<IDiskCopy> BeginAsync(VolumeName disk, ImageLayer target, Func<Task>? ready, CancellationToken cancellation)
    {
        if (target.Format is not ("raw" or "qcow2"))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "unknown image format %s", target.Format);
        }
        var names = CopyNames.Of(disk);
        var copy = Reserve(names);
        try
        {
            await MakeAsync(names, target, ready, cancellation);
            copy.Start();
            return copy;
        }
        catch (Exception e)
        {
            await copy.AbandonAsync();
            throw e is MgmtException refused ? DiskCommands.Explain(refused) : e;
        }
    }

    /// <summary>Gives a disk another size. ERRORS: as <see cref="IRunningVm.ResizeDiskAsync"/>; MgmtBusyError while it is copied.</summary>
    public async Task ResizeAsync(VolumeName disk, long sizeBytes, CancellationToken cancellation)
    {
        var names = CopyNames.Of(disk);
        try
        {
            await RequireAsync(names, cancellation);
            lock (_gate)
            {
                ThrowIfBusy(names);
            }
            await commands().ResizeAsync(names.Disk, sizeBytes, cancellation);
        }
        catch (MgmtException e) when (e.Code == ErrorCode.QubesException)
        {
            throw DiskCommands.Explain(e);
        }
    }

    /// <summary>A job's event came.</summary>
    public void JobChanged(string job) => Find(job)?.Wake();

    /// <summary>Gives up the copy that a node belongs to, then does what has to be done afterwards; false, and nothing is done, when there is none any more.</summary>
    public bool GiveUp(string node, bool noSpace, Func<Task> afterwards)
    {
        if (Find(node) is not { } copy)
        {
            return false;
        }
        copy.GiveUp(noSpace
            ? new MgmtException(ErrorCode.MgmtNoSpaceError, "No space left for the copy of a disk")
            : new MgmtException(ErrorCode.StoragePoolException, "The copy of a disk cannot be written"), afterwards);
        return true;
    }

    /// <summary>Cancels what is under way.</summary>
    public async ValueTask DisposeAsync()
    {
        List<DiskCopy> left;
        lock (_gate)
        {
            _disposed = true;
            left = [.. _copies.Values];
        }
        foreach (var copy in left)
        {
            await copy.DisposeAsync();
        }
    }

    private async Task MakeAsync(CopyNames names, ImageLayer target, Func<Task>? ready, CancellationToken cancellation)
    {
        var nodes = await RequireAsync(names, cancellation);
        var qemu = commands();
        if (nodes.Any(node => node.StartsWith(names.Job, StringComparison.Ordinal)))
        {
            // What an earlier copy could not remove.
            await CopyRemains.RemoveAsync(qemu, names.Job, time, cancellation);
        }
        var set = await qemu.AddFileAsync(names, target, cancellation);
        await qemu.AddTargetAsync(names, set, target, cancellation);
        if (ready is not null)
        {
            await ready();
        }
        await qemu.BackUpAsync(names, bytesPerSecond, cancellation);
    }

    private async Task<IReadOnlySet<string>> RequireAsync(CopyNames names, CancellationToken cancellation)
    {
        var nodes = await commands().NodesAsync(cancellation);
        return nodes.Contains(names.Disk) ? nodes : throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume in the running VM: '%s'", names.Disk);
    }

    private DiskCopy Reserve(CopyNames names)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            ThrowIfBusy(names);
            return _copies[names.Job] = new DiskCopy(new CopyParts(vm, names, commands, vmEnded, deadline, time, log, () => Forget(names)));
        }
    }

    private void ThrowIfBusy(CopyNames names)
    {
        if (_copies.ContainsKey(names.Job))
        {
            throw new MgmtException(ErrorCode.MgmtBusyError, "Volume %s is being copied", names.Disk);
        }
    }

    private void Forget(CopyNames names)
    {
        lock (_gate)
        {
            _copies.Remove(names.Job);
        }
    }

    private DiskCopy? Find(string jobOrNode)
    {
        lock (_gate)
        {
            return _copies.FirstOrDefault(pair => jobOrNode.StartsWith(pair.Key, StringComparison.Ordinal)).Value;
        }
    }
}
