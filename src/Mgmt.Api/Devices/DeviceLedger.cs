namespace Mgmt.Api;

/// <summary>What no state says: devices that are just being attached, and files that have to stay open here as long as a VM has a volume attached.</summary>
public sealed class DeviceLedger
{
    private readonly Lock _gate = new();
    // Guarded by _gate.
    private readonly HashSet<DeviceAddress> _claimed = [];
    private readonly Dictionary<(VmName Vm, DeviceAddress Device), IDisposable> _held = [];

    /// <summary>Claims a device for an attach; disposing ends that. ERRORS: MgmtBusyError when another one is under way.</summary>
    internal IDisposable Claim(DeviceAddress device)
    {
        lock (_gate)
        {
            return _claimed.Add(device)
                ? new Claimed(this, device)
                : throw new MgmtException(ErrorCode.MgmtBusyError, "Device %s is just being attached", device.ToString());
        }
    }

    internal void Hold(VmName vm, DeviceAddress device, IDisposable open)
    {
        Release(vm, device);
        lock (_gate)
        {
            _held[(vm, device)] = open;
        }
    }

    internal void Release(VmName vm, DeviceAddress device)
    {
        IDisposable? open;
        lock (_gate)
        {
            _held.Remove((vm, device), out open);
        }
        open?.Dispose();
    }

    /// <summary>The VM is down: it has nothing any more.</summary>
    internal void Release(VmName vm)
    {
        List<DeviceAddress> devices;
        lock (_gate)
        {
            devices = [.. _held.Keys.Where(key => key.Vm == vm).Select(key => key.Device)];
        }
        devices.ForEach(device => Release(vm, device));
    }

    private sealed class Claimed(DeviceLedger ledger, DeviceAddress device) : IDisposable
    {
        public void Dispose()
        {
            lock (ledger._gate)
            {
                ledger._claimed.Remove(device);
            }
        }
    }
}
