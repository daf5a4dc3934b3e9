using System.Threading.Channels;
using Mgmt.Core;

namespace Mgmt.Qemu.Tests;

/// <summary>A registry in memory.</summary>
internal sealed class FakeRegistry : IMachineRegistry
{
    private readonly Channel<MachineChange> _changes = Channel.CreateBounded<MachineChange>(1);

    public Dictionary<string, MachineRequest> Machines { get; } = [];

    public bool Works { get; set; } = true;

    public MachineRegistryStatus Status => new(Works ? "ok" : "absent", "", DateTimeOffset.UnixEpoch);

    public ChannelReader<MachineChange> Changes => _changes.Reader;

    public ChannelReader<MachineRegistryStatus> StatusChanges { get; } = Channel.CreateBounded<MachineRegistryStatus>(1).Reader;

    public Task<MachineScope> PlaceAsync(MachineRequest request, CancellationToken cancellation)
    {
        if (!Works)
        {
            return Task.FromResult(new MachineScope(MachineScopeKind.None, "", "absent"));
        }
        var name = $"mgmt-{request.Qid}-{request.Name}";
        Machines[name] = request;
        return Task.FromResult(new MachineScope(MachineScopeKind.Machine, name, null));
    }

    public Task<bool?> OwnsAsync(string machine, Guid uuid, int leaderPid, CancellationToken cancellation) =>
        Task.FromResult<bool?>(Works ? Machines.TryGetValue(machine, out var found) && found.Uuid == uuid && found.LeaderPid == leaderPid : null);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
