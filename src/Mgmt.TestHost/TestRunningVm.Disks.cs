using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Its disks: sizes, and copies that take their time and copy nothing.</summary>
public sealed partial class TestRunningVm
{
    private readonly Dictionary<VolumeName, long> _diskBytes;
    private readonly HashSet<VolumeName> _copied = [];

    /// <inheritdoc/>
    public async Task<IDiskCopy> BeginCopyAsync(VolumeName disk, ImageLayer target, Func<Task>? ready, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var size = Reserve(disk);
        try
        {
            if (ready is not null)
            {
                await ready();
            }
            lock (_gate)
            {
                ThrowIfGone();
            }
            return new TestDiskCopy(size, _behaviour.Delays.Copy, _behaviour.Faults.Copy, Exited, _time, () => Forget(disk));
        }
        catch
        {
            Forget(disk);
            throw;
        }
    }

    /// <inheritdoc/>
    public Task ResizeDiskAsync(VolumeName disk, long sizeBytes, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            lock (_gate)
            {
                ThrowIfGone();
                SizeOf(disk);
                if (_copied.Contains(disk))
                {
                    throw new MgmtException(ErrorCode.MgmtBusyError, "A volume of %s is being copied", Name.Value);
                }
                _diskBytes[disk] = sizeBytes;
            }
        },
        cancellation);

    private long Reserve(VolumeName disk)
    {
        lock (_gate)
        {
            ThrowIfGone();
            var size = SizeOf(disk);
            return _copied.Add(disk) ? size : throw new MgmtException(ErrorCode.MgmtBusyError, "A volume of %s is being copied", Name.Value);
        }
    }

    private long SizeOf(VolumeName disk) => _diskBytes.TryGetValue(disk, out var size)
        ? size
        : throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume in the running VM: '%s'", disk.Wire());

    private void Forget(VolumeName disk)
    {
        lock (_gate)
        {
            _copied.Remove(disk);
        }
    }
}
