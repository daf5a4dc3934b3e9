using System.Collections.Concurrent;
using System.Collections.Immutable;
using Mgmt.Policy;

namespace Mgmt.Api;

/// <summary>
/// The VMs of one state as the policy sees them. Entries are made when first asked for. With <paramref name="removed"/> also those that
/// were removed lately, for the events that tell of it.
/// </summary>
public sealed class SnapshotDirectory(HostState state, RemovedVms? removed) : IDomainDirectory
{
    private const string UuidPrefix = "uuid:";
    private readonly ConcurrentDictionary<VmName, DomainInfo> _infos = new();

    /// <summary>The state it shows.</summary>
    public HostState State => state;

    /// <inheritdoc/>
    public IEnumerable<DomainInfo> All => state.Vms.Values.Select(Info);

    /// <inheritdoc/>
    public DomainInfo? Find(string nameOrUuid)
    {
        var vm = Targets.FindVm(state, nameOrUuid) ?? removed?.Find(nameOrUuid);
        return vm is null ? null : Info(vm);
    }

    internal static bool IsUuid(string text) => text.StartsWith(UuidPrefix, StringComparison.Ordinal);

    private DomainInfo Info(VmRecord vm) => _infos.TryGetValue(vm.Name, out var info) ? info : _infos.GetOrAdd(vm.Name, Make(vm));

    private DomainInfo Make(VmRecord vm) => new()
    {
        Name = vm.Name.Value,
        Type = vm.Class.ToString(),
        Uuid = vm.Uuid.ToString("D"),
        Tags = [.. vm.Tags.Select(tag => tag.Value)],
        TemplateForDispvms = vm.Property("template_for_dispvms") == "True",
        DefaultDispvm = DispvmOf(vm) is { Length: > 0 } dispvm ? dispvm : null,
        PowerState = vm.Status.State.ToString(),
        Internal = vm.Features.GetValueOrDefault("internal") is { Length: > 0 },
        RelayVm = vm.Property("relayvm") is { Length: > 0 } relay ? relay : null,
        TransportRpc = vm.Property("transport_rpc") is { Length: > 0 } transport ? transport : null,
    };

    private string? DispvmOf(VmRecord vm) => vm.Property("default_dispvm")
        ?? (vm.Class == VmClass.DispVM ? vm.Property("template") : state.Properties.GetValueOrDefault("default_dispvm"));
}
