using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>Networks. Kept and checked; a VM has no network card yet, which Status says.</summary>
internal static partial class VmProperties
{
    private static IEnumerable<PropertyDefinition> Network() =>
    [
        new("netvm", PropertyType.Vm, "VM that gives it its network; empty for none.")
        {
            Default = s => DefaultNetvm(s.State, s.Vm!),
            Parse = VmOrNone("netvm", (_, vm) => vm.Property("provides_network") == "True" ? null : "it does not provide network"),
            Veto = NetvmVeto,
        },
        new("provides_network", PropertyType.Bool, "Whether other VMs may have it as their netvm.") { Default = _ => "False", Parse = Bool, Veto = ProvidesNetworkVeto },
        new("mac", PropertyType.Str, "Ethernet address of its network card.") { Default = _ => "00:16:3e:5e:6c:00", Parse = Mac },
        new("ip", PropertyType.Str, "IPv4 address, by default from its qid.")
        {
            Default = s => DefaultIp(s.Vm!), Parse = Address,
        },
    ];

    private static string DefaultIp(VmRecord vm) => $"10.137.{(vm.Qid >> 8) & 0x7f}.{vm.Qid & 0xff}";

    private static MgmtException? NetvmVeto(PropertyScope scope, string? value)
    {
        var state = scope.State;
        var after = state with { Vms = state.Vms.SetItem(scope.Vm!.Name, scope.Vm.WithProperty("netvm", value)) };
        return IsBehindItself(after, scope.Vm.Name) ? Bad("Loops in network are unsupported: %s would be behind itself", scope.Holder) : null;
    }

    /// <summary>Refuses a default that puts one of those that follow it behind itself.</summary>
    internal static MgmtException? DefaultNetvmVeto(PropertyScope scope, string? value)
    {
        if (value is not { Length: > 0 })
        {
            return null;
        }
        var after = scope.State with { Properties = scope.State.Properties.SetItem("default_netvm", value) };
        return IsBehindItself(after, VmName.Parse(value)) ? Bad("Loops in network are unsupported: %s would be behind itself", value) : null;
    }

    private static bool IsBehindItself(HostState state, VmName name)
    {
        var seen = 0;
        for (var next = Netvm(state, state.Get(name)); next.Length > 0 && seen++ <= state.Vms.Count;)
        {
            if (next == name.Value)
            {
                return true;
            }
            next = state.Find(VmName.Parse(next)) is { } vm ? Netvm(state, vm) : "";
        }
        return false;
    }

    private static string Netvm(HostState state, VmRecord vm) => vm.Property("netvm") ?? DefaultNetvm(state, vm);

    private static string DefaultNetvm(HostState state, VmRecord vm) =>
        vm.Class is not (VmClass.TemplateVM or VmClass.AdminVM or VmClass.RemoteVM) && state.Properties.GetValueOrDefault("default_netvm") is { } netvm && netvm != vm.Name.Value ? netvm : "";

    private static MgmtException? ProvidesNetworkVeto(PropertyScope scope, string? value)
    {
        var name = scope.Vm!.Name.Value;
        return value != "True" && (scope.State.Properties.GetValueOrDefault("default_netvm") == name || scope.State.Vms.Values.Any(vm => vm.Property("netvm") == name))
            ? Bad("The qube is still used by other qubes as their netvm: %s", name)
            : null;
    }
}
