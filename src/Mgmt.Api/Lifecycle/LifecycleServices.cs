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
    /// <summary>The VM as it is now. ERRORS: QubesVMNotFoundError.</summary>
    public VmRecord Vm(VmName name) => Store.Current.Get(name);
}
