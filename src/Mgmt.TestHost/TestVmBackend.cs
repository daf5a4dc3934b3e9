using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>
/// VMs in memory. They live as long as this object: after a restart of the daemon none of them is there any more, and
/// adopting one says so.
/// </summary>
public sealed class TestVmBackend : IVmBackend
{
    // Above the largest pid Linux gives out, so that it is nobody's.
    private const int FirstPid = 5_000_000;

    private readonly TestBehaviour _behaviour;
    private readonly TestMachineRegistry _machines;
    private readonly TimeProvider _time;
    private readonly string _bootId = Guid.NewGuid().ToString("D");
    private readonly Lock _gate = new();
    private readonly Dictionary<VmName, TestRunningVm> _vms = [];
    private int _lastPid = FirstPid;

    /// <summary>A backend without VMs.</summary>
    public TestVmBackend(string uri, TestBehaviour behaviour, TestMachineRegistry machines, TimeProvider time)
    {
        Uri = uri;
        _behaviour = behaviour;
        _machines = machines;
        _time = time;
    }

    /// <inheritdoc/>
    public string Uri { get; }

    /// <summary><c>accelerator</c> is <c>none</c>; <c>machined</c> is the registry's state.</summary>
    public IReadOnlyDictionary<string, string> Describe() => new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["accelerator"] = "none",
        ["backend"] = "test host in memory",
        ["machined"] = _machines.Status.State,
    };

    /// <inheritdoc/>
    public async Task<IRunningVm> LaunchAsync(VmLaunch launch, CancellationToken cancellation)
    {
        using var files = launch;
        if (launch.VirtualProcessors < 1 || launch.MemoryMiB < 1)
        {
            throw new MgmtException(ErrorCode.QubesException, "A VM needs a virtual processor and memory");
        }
        var behaviour = _behaviour.For(launch.Name);
        await _time.Wait(behaviour.Delays.Launch, cancellation);
        if (behaviour.Faults.Launch is { } message)
        {
            throw new MgmtException(ErrorCode.QubesException, "%s", message);
        }
        var vm = Reserve(launch, behaviour);
        try
        {
            var scope = await _machines.PlaceAsync(new MachineRequest(launch.Qid, launch.Name, launch.Uuid, vm.Run.Pid), cancellation);
            if (!vm.Place(scope))
            {
                _machines.Drop(scope.Name);
                throw new MgmtException(ErrorCode.MgmtUnavailableError, "The process of %s was ended while it was made", launch.Name.Value);
            }
        }
        catch
        {
            vm.End(new VmExit(false, "killed"));
            throw;
        }
        return vm;
    }

    /// <summary>The VM when it was launched by this very object and is not gone; null otherwise, so always null after a restart of the daemon.</summary>
    public async Task<IRunningVm?> AdoptAsync(VmRecord vm, VmRun run, CancellationToken cancellation)
    {
        await _time.Wait(_behaviour.For(vm.Name).Delays.Adopt, cancellation);
        var found = Find(run);
        found?.Adopted();
        return found;
    }

    /// <inheritdoc/>
    public Task KillAsync(VmRun run, CancellationToken cancellation) => Find(run)?.KillAsync(cancellation) ?? Task.CompletedTask;

    /// <inheritdoc/>
    public async Task ReapStraysAsync(IReadOnlyCollection<VmRun> known, CancellationToken cancellation)
    {
        foreach (var vm in All().Where(vm => !known.Any(run => IsSame(vm.Run, run))))
        {
            await vm.KillAsync(cancellation);
        }
    }

    /// <summary>Ends all VMs: their memory is this object's.</summary>
    public ValueTask DisposeAsync()
    {
        foreach (var vm in All())
        {
            vm.End(new VmExit(false, "killed"));
        }
        return ValueTask.CompletedTask;
    }

    private TestRunningVm Reserve(VmLaunch launch, VmBehaviour behaviour)
    {
        lock (_gate)
        {
            if (_vms.ContainsKey(launch.Name))
            {
                throw new MgmtException(ErrorCode.QubesException, "%s has a process already", launch.Name.Value);
            }
            var pid = ++_lastPid;
            var run = new VmRun
            {
                Pid = pid,
                StartTicks = (ulong)(pid - FirstPid),
                BootId = _bootId,
                StartGuid = launch.StartGuid,
                StartedAt = _time.GetUtcNow(),
            };
            return _vms[launch.Name] = new TestRunningVm(launch, run, behaviour, _time, Gone);
        }
    }

    private void Gone(TestRunningVm vm)
    {
        lock (_gate)
        {
            _vms.Remove(vm.Name);
        }
        _machines.Drop(vm.Run.Machine);
    }

    private TestRunningVm? Find(VmRun run) => All().FirstOrDefault(vm => IsSame(vm.Run, run));

    private TestRunningVm[] All()
    {
        lock (_gate)
        {
            return [.. _vms.Values];
        }
    }

    private static bool IsSame(VmRun one, VmRun other) => one.Pid == other.Pid && one.StartTicks == other.StartTicks && one.BootId == other.BootId;
}
