using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Whose the machines of the host's registry are: a machine is a VM's only when its id is that VM's UUID, whatever its name says.</summary>
public sealed class MachineOwners(StateStore store, IHostMachines machines)
{
    /// <summary>What the registry knows of a machine that is no VM. ERRORS: QubesException for a VM's, with its name; those of <see cref="IHostMachines"/>.</summary>
    public async Task<HostMachineFacts> GetOtherAsync(HostMachineName name, CancellationToken cancellation)
    {
        var facts = await machines.GetAsync(name, cancellation);
        return VmOf(store.Current, facts.Uuid) is { } vm
            ? throw IsVm(name, vm)
            : facts;
    }

    /// <summary>The machines that are no VMs.</summary>
    public async Task<List<HostMachine>> ListOthersAsync(CancellationToken cancellation)
    {
        var others = new List<HostMachine>();
        foreach (var machine in await machines.ListAsync(cancellation))
        {
            // Only a name that a VM's machine would have is worth the question.
            if (Named(store.Current, machine.Name) is null || !await IsVmAsync(machine.Name, cancellation))
            {
                others.Add(machine);
            }
        }
        return others;
    }

    /// <summary>Whether a machine that came or goes is a VM's. One that cannot be asked for any more is taken for what its name says.</summary>
    public async Task<bool> IsVmAsync(HostMachineName name, CancellationToken cancellation)
    {
        if (Named(store.Current, name) is null)
        {
            return false;
        }
        try
        {
            return VmOf(store.Current, (await machines.GetAsync(name, cancellation)).Uuid) is not null;
        }
        catch (MgmtException)
        {
            return true;
        }
    }

    /// <summary>The VM whose machine would have that name, or null.</summary>
    internal static VmRecord? Named(HostState state, HostMachineName name) =>
        name.Value.StartsWith("mgmt-", StringComparison.Ordinal) ? state.Vms.Values.FirstOrDefault(vm => HostMachineName.ForVm(vm.Qid, vm.Name) == name) : null;

    internal static MgmtException IsVm(HostMachineName name, VmRecord vm) =>
        new(ErrorCode.QubesException, "Machine %s is the VM %s: the calls of VMs are for it", name.Value, vm.Name.Value);

    internal static VmRecord? VmOf(HostState state, Guid? uuid) => uuid is { } id ? state.Find(id) : null;
}
