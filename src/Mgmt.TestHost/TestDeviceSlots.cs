using System.Collections.Immutable;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>Sixteen places in a VM in memory. A guest that does not run lets go of nothing.</summary>
internal sealed class TestDeviceSlots(Func<bool> runs) : IDeviceSlots
{
    private const int Places = 16;
    private readonly Lock _gate = new();
    private ImmutableArray<DeviceAttachment> _attached = [];

    public Task<ImmutableArray<DeviceAttachment>> ListAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            return Task.FromResult(_attached);
        }
    }

    public Task AttachAsync(DeviceAttachment wanted, OpenDevice device, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            lock (_gate)
            {
                _attached = _attached.Length < Places ? _attached.Add(wanted) : throw new MgmtException(ErrorCode.MgmtBusyError, "The VM has no place left for a device");
            }
        },
        cancellation);

    public Task DetachAsync(DeviceAddress device, CancellationToken cancellation) => Waiting.Now(
        () =>
        {
            if (!runs())
            {
                throw new MgmtException(ErrorCode.MgmtTimeoutError, "The guest does not let go of %s; it stays attached", device.ToString());
            }
            lock (_gate)
            {
                _attached = _attached.RemoveAll(attachment => attachment.Device == device);
            }
        },
        cancellation);
}
