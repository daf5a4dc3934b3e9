using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Its disks: sizes, and copies that take their time and copy nothing.</summary>
public sealed partial class TestRunningVm
{
    private readonly Dictionary<VolumeName, long> _diskBytes;
    private readonly HashSet<VolumeName> _copied = [];

    /// <inheritdoc/>
    public Task<IDiskCopy> BeginCopyAsync(VolumeName disk, ImageLayer target, CancellationToken cancellation) => Waiting.Now<IDiskCopy>(
        () =>
        {
            lock (_gate)
            {
                ThrowIfGone();
                var size = SizeOf(disk);
                if (!_copied.Add(disk))
                {
                    throw new MgmtException(ErrorCode.MgmtBusyError, "A volume of %s is being copied", Name.Value);
                }
                return new TestDiskCopy(size, _behaviour.Delays.Copy, _behaviour.Faults.Copy, Exited, _time, () => Forget(disk));
            }
        },
        cancellation);

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

    private long SizeOf(VolumeName disk) => _diskBytes.TryGetValue(disk, out var size)
        ? size
        : throw new MgmtException(ErrorCode.QubesVolumeNotFoundError, "No such volume in the running VM: '%s'", disk.ToString().ToLowerInvariant());

    private void Forget(VolumeName disk)
    {
        lock (_gate)
        {
            _copied.Remove(disk);
        }
    }
}
