using Mgmt.State;

namespace Mgmt.Api;

/// <summary>What the operations on VMs share.</summary>
public sealed record LifecycleServices(
    StateStore Store,
    IVmBackend Backend,
    PoolSet Pools,
    PropertyTable Properties,
    VmGates Gates,
    SessionTable Sessions,
    TimeProvider Clock,
    Microsoft.Extensions.Logging.ILogger<LifecycleServices> Log)
{
    /// <summary>The devices of the host.</summary>
    public IDeviceHost Devices { get; init; } = new NoDevices();

    /// <summary>What is being attached, and what is kept open for it.</summary>
    public DeviceLedger DeviceLedger { get; } = new();

    /// <summary>The VM as it is now. ERRORS: QubesVMNotFoundError.</summary>
    public VmRecord Vm(VmName name) => Store.Current.Get(name);
}
