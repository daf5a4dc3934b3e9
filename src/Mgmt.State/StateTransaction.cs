using Mgmt.Core;

namespace Mgmt.State;

/// <summary>One change while its delegate runs: works on values in memory and remembers what it touched.</summary>
internal sealed class StateTransaction : IStateTransaction
{
    private readonly HashSet<VmName> _vms = [];
    private readonly HashSet<LabelName> _labels = [];
    private readonly HashSet<PoolName> _pools = [];
    private readonly HashSet<string> _properties = new(StringComparer.Ordinal);
    private readonly HashSet<VolumeInWork> _volumesInWork = [];
    private readonly List<MgmtEvent> _events = [];
    private HostState _state;
    private bool _ended;

    internal StateTransaction(HostState before, DateTimeOffset now) => (Before, _state, Now) = (before, before, now);

    public HostState State => Open()._state;

    public DateTimeOffset Now { get; }

    internal HostState Before { get; }
    internal HostState After => _state;
    internal IReadOnlyList<MgmtEvent> Events => _events;
    internal IEnumerable<VmName> ChangedVms => _vms.Where(name => !SameOnDisk(Before.Find(name), _state.Find(name)));
    internal IReadOnlyCollection<LabelName> ChangedLabels => _labels;
    internal IReadOnlyCollection<PoolName> ChangedPools => _pools;
    internal IReadOnlyCollection<string> ChangedProperties => _properties;
    internal IEnumerable<VolumeInWork> ChangedVolumesInWork => _volumesInWork.Where(v => Before.VolumesInWork.Contains(v) != _state.VolumesInWork.Contains(v));

    /// <summary>Whether anything of it is kept on disk: most of a VM's status is not.</summary>
    internal bool HasStoredPart => _events.Count > 0 || _labels.Count > 0 || _pools.Count > 0 || _properties.Count > 0 || ChangedVms.Any() || ChangedVolumesInWork.Any();

    public void PutVm(VmRecord vm)
    {
        var state = Open()._state;
        if (state.NamesByUuid.TryGetValue(vm.Uuid, out var owner) && owner != vm.Name)
        {
            throw new InvalidOperationException($"the UUID of '{vm.Name}' is that of '{owner}'");
        }
        var names = state.Find(vm.Name) is { } old && old.Uuid != vm.Uuid ? state.NamesByUuid.Remove(old.Uuid) : state.NamesByUuid;
        _state = state with { Vms = state.Vms.SetItem(vm.Name, vm), NamesByUuid = names.SetItem(vm.Uuid, vm.Name) };
        _vms.Add(vm.Name);
    }

    public void RemoveVm(VmName name)
    {
        var state = Open()._state;
        if (state.Find(name) is { } old)
        {
            _state = state with { Vms = state.Vms.Remove(name), NamesByUuid = state.NamesByUuid.Remove(old.Uuid) };
            _vms.Add(name);
        }
    }

    public void PutLabel(Label label)
    {
        _state = Open()._state with { Labels = _state.Labels.SetItem(label.Name, label) };
        _labels.Add(label.Name);
    }

    public void RemoveLabel(LabelName name)
    {
        _state = Open()._state with { Labels = _state.Labels.Remove(name) };
        _labels.Add(name);
    }

    public void PutPool(PoolRecord pool)
    {
        _state = Open()._state with { Pools = _state.Pools.SetItem(pool.Name, pool) };
        _pools.Add(pool.Name);
    }

    public void RemovePool(PoolName name)
    {
        _state = Open()._state with { Pools = _state.Pools.Remove(name) };
        _pools.Add(name);
    }

    public void SetProperty(string name, string? value)
    {
        var properties = Open()._state.Properties;
        _state = _state with { Properties = value is null ? properties.Remove(name) : properties.SetItem(name, value) };
        _properties.Add(name);
    }

    public void AddVolumeInWork(VolumeInWork volume)
    {
        _state = Open()._state with { VolumesInWork = _state.VolumesInWork.Add(volume) };
        _volumesInWork.Add(volume);
    }

    public void RemoveVolumeInWork(VolumeInWork volume)
    {
        _state = Open()._state with { VolumesInWork = _state.VolumesInWork.Remove(volume) };
        _volumesInWork.Add(volume);
    }

    public void Emit(MgmtEvent happened) => Open()._events.Add(happened);

    /// <summary>The delegate is over; nothing may be added behind the writer's back.</summary>
    internal void End() => _ended = true;

    private static bool SameOnDisk(VmRecord? a, VmRecord? b) =>
        ReferenceEquals(a, b) || (a is not null && b is not null && Equals(a.Status.Run, b.Status.Run) && a with { Status = b.Status } == b);

    private StateTransaction Open() => !_ended ? this : throw new InvalidOperationException("the change is over");
}
