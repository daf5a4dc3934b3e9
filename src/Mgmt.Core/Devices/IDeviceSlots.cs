using System.Collections.Immutable;

namespace Mgmt.Core;

/// <summary>The places of a running VM that devices are put into while it runs.</summary>
public interface IDeviceSlots
{
    /// <summary>What is attached, asked from the VM's process, so that a later daemon finds it too. ERRORS: MgmtUnavailableError, MgmtTimeoutError.</summary>
    Task<ImmutableArray<DeviceAttachment>> ListAsync(CancellationToken cancellation);

    /// <summary>
    /// Attaches a device; on failure nothing of it stays. The device stays the caller's. ERRORS: MgmtBusyError (no place left), MgmtUnsupportedError,
    /// MgmtUnavailableError, MgmtTimeoutError, QubesException (QEMU refuses).
    /// </summary>
    Task AttachAsync(DeviceAttachment wanted, OpenDevice device, CancellationToken cancellation);

    /// <summary>
    /// Detaches a device and returns when the guest has let go. ERRORS: DeviceNotAssigned, MgmtTimeoutError (the guest does not let go; the device stays attached,
    /// and may go later: then <see cref="VmSignal.DeviceGone"/> comes), QubesException (the guest refuses), MgmtUnavailableError.
    /// </summary>
    Task DetachAsync(DeviceAddress device, CancellationToken cancellation);
}

/// <summary>A VM that takes no devices.</summary>
public sealed class NoDeviceSlots : IDeviceSlots
{
    /// <summary>The one there is.</summary>
    public static NoDeviceSlots Instance { get; } = new();

    /// <inheritdoc/>
    public Task<ImmutableArray<DeviceAttachment>> ListAsync(CancellationToken cancellation) => Task.FromResult<ImmutableArray<DeviceAttachment>>([]);

    /// <inheritdoc/>
    public Task AttachAsync(DeviceAttachment wanted, OpenDevice device, CancellationToken cancellation) =>
        throw new MgmtException(ErrorCode.MgmtUnsupportedError, "This VM takes no devices");

    /// <inheritdoc/>
    public Task DetachAsync(DeviceAddress device, CancellationToken cancellation) =>
        throw new MgmtException(ErrorCode.DeviceNotAssigned, "The device is not attached: %s", device.ToString());
}
