using System.Collections.Concurrent;

namespace Mgmt.Api;

/// <summary>
/// The VMs that were removed lately, as they were: whether a subscriber may see the end of a VM is asked of the VM it was, tags and all.
/// Kept in memory, the last 1024; of older ones and those before a restart only who may see events of any VM hears.
/// </summary>
public sealed class RemovedVms
{
    private const int Kept = 1024;
    private readonly ConcurrentDictionary<VmName, VmRecord> _byName = new();
    private readonly ConcurrentQueue<VmRecord> _order = new();

    /// <summary>Remembers a VM that is being removed.</summary>
    public void Add(VmRecord vm)
    {
        _byName[vm.Name] = vm;
        _order.Enqueue(vm);
        while (_order.Count > Kept && _order.TryDequeue(out var oldest))
        {
            _byName.TryRemove(new(oldest.Name, oldest));
        }
    }

    /// <summary>The VM of that name that was removed last, or null.</summary>
    public VmRecord? Find(string name) => VmName.TryParse(name) is { } parsed ? _byName.GetValueOrDefault(parsed) : null;
}
