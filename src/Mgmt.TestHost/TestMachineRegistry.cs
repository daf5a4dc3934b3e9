using System.Threading.Channels;
using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>The registry of machines of a test host. It takes every VM but those whose faults say <c>machined</c>.</summary>
public sealed class TestMachineRegistry : IMachineRegistry
{
    private const int MaxChanges = 256;

    private readonly TestBehaviour _behaviour;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, MachineRequest> _machines = new(StringComparer.Ordinal);
    private readonly Channel<MachineChange> _changes =
        Channel.CreateBounded<MachineChange>(new BoundedChannelOptions(MaxChanges) { FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>An empty registry.</summary>
    public TestMachineRegistry(TestBehaviour behaviour, TimeProvider time)
    {
        _behaviour = behaviour;
        var fault = behaviour.Default.Faults.Machined;
        Status = new MachineRegistryStatus(fault is null ? "ok" : "absent", fault ?? "in memory", time.GetUtcNow());
    }

    /// <summary><c>ok</c>; <c>absent</c> when the fault is the default of all VMs.</summary>
    public MachineRegistryStatus Status { get; }

    /// <inheritdoc/>
    public ChannelReader<MachineChange> Changes => _changes.Reader;

    /// <inheritdoc/>
    /// <remarks>It never changes.</remarks>
    public ChannelReader<MachineRegistryStatus> StatusChanges { get; } = Channel.CreateBounded<MachineRegistryStatus>(1).Reader;

    /// <inheritdoc/>
    public Task<MachineScope> PlaceAsync(MachineRequest request, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (_behaviour.For(request.Name).Faults.Machined is { } fault)
        {
            return Task.FromResult(new MachineScope(MachineScopeKind.None, "", fault));
        }
        var name = NameOf(request);
        lock (_gate)
        {
            if (!_machines.TryAdd(name, request))
            {
                return Task.FromResult(new MachineScope(MachineScopeKind.None, "", "machine-exists"));
            }
            _changes.Writer.TryWrite(new MachineChange(name, Added: true));
        }
        return Task.FromResult(new MachineScope(MachineScopeKind.Machine, name, null));
    }

    /// <inheritdoc/>
    public Task<bool?> OwnsAsync(string machine, Guid uuid, int leaderPid, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult<bool?>(_machines.TryGetValue(machine, out var found) && found.Uuid == uuid && found.LeaderPid == leaderPid);
        }
    }

    /// <summary>Ends the stream of changes.</summary>
    public ValueTask DisposeAsync()
    {
        _changes.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    /// <summary>A process is gone, its machine with it.</summary>
    internal void Drop(string machine)
    {
        lock (_gate)
        {
            if (_machines.Remove(machine))
            {
                _changes.Writer.TryWrite(new MachineChange(machine, Added: false));
            }
        }
    }

    private static string NameOf(MachineRequest request) => HostMachineName.ForVm(request.Qid, request.Name).Value;
}
