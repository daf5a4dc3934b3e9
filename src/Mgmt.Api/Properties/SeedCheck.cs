using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>Checks that what a new store begins with holds only properties and values that could also have been set.</summary>
public static class SeedCheck
{
    /// <summary>Gives the seed back. ERRORS: QubesValueError naming the VM, the property and what is wrong.</summary>
    public static HostSeed Run(HostSeed seed)
    {
        var state = new HostState
        {
            Vms = seed.Vms.ToImmutableSortedDictionary(vm => vm.Name, vm => vm),
            NamesByUuid = seed.Vms.ToImmutableDictionary(vm => vm.Uuid, vm => vm.Name),
            Labels = seed.Labels.ToImmutableSortedDictionary(label => label.Name, label => label),
            Pools = seed.Pools.ToImmutableSortedDictionary(pool => pool.Name, pool => pool),
            Properties = seed.Properties,
        };
        // Pools are not open yet: which kernels there are is found out at the start of a VM.
        var table = new PropertyTable(new HostFacts { MemoryMiB = 0, Processors = 0, KernelExists = (_, _) => true });
        foreach (var vm in seed.Vms)
        {
            Check(table, state, vm, vm.Properties);
        }
        Check(table, state, null, seed.Properties);
        return seed;
    }

    private static void Check(PropertyTable table, HostState state, VmRecord? vm, ImmutableSortedDictionary<string, string> properties)
    {
        foreach (var (name, value) in properties)
        {
            // What dom0 is has no setter and stands in every document.
            if (vm?.Class == VmClass.AdminVM && name == "label")
            {
                continue;
            }
            try
            {
                var definition = table.Find(vm, name);
                if (definition.Access != PropertyAccess.Settable || definition.Parse(table.Scope(state, vm), value) != value)
                {
                    throw new MgmtException(ErrorCode.QubesPropertyValueError, "it is not settable, or not written as it is kept");
                }
            }
            catch (MgmtException error)
            {
                throw new MgmtException(error, ErrorCode.QubesValueError, "Property %s of %s in the host document: %s", name, vm?.Name.Value ?? "the host", error.Message);
            }
        }
    }
}
