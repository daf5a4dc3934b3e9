using Mgmt.Core;

namespace Mgmt.State;

/// <summary>
/// What a change may do. It is valid only inside the delegate it was handed to: afterwards every member throws
/// InvalidOperationException.
/// </summary>
public interface IStateTransaction
{
    /// <summary>The newest state with what this change did so far.</summary>
    HostState State { get; }

    /// <summary>When this change is applied, in whole milliseconds; the time of its events.</summary>
    DateTimeOffset Now { get; }

    /// <summary>Adds a VM or replaces the one of that name. ERRORS: InvalidOperationException when another VM has its UUID.</summary>
    void PutVm(VmRecord vm);

    /// <summary>Removes a VM, if it is there.</summary>
    void RemoveVm(VmName name);

    /// <summary>Adds a label or replaces the one of that name.</summary>
    void PutLabel(Label label);

    /// <summary>Removes a label, if it is there.</summary>
    void RemoveLabel(LabelName name);

    /// <summary>Adds a pool or replaces the one of that name.</summary>
    void PutPool(PoolRecord pool);

    /// <summary>Removes a pool, if it is there.</summary>
    void RemovePool(PoolName name);

    /// <summary>Sets a global property or, with null, puts it back at its default.</summary>
    void SetProperty(string name, string? value);

    /// <summary>Writes down that a volume is being made or removed.</summary>
    void AddVolumeInWork(VolumeInWork volume);

    /// <summary>Takes that back, if it is there.</summary>
    void RemoveVolumeInWork(VolumeInWork volume);

    /// <summary>Adds an event; a change's events are journalled in the order they were emitted.</summary>
    void Emit(MgmtEvent happened);
}
