using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>Networks. Kept and checked; a VM has no network card yet, which Status says.</summary>
internal static partial class VmProperties
{
    private static IEnumerable<PropertyDefinition> Network() =>
    [
        new("netvm", PropertyType.Vm, "VM that gives it its network; empty for none.")
        {
            Default = s => s.Vm!.Class == VmClass.TemplateVM ? "" : s.State.Properties.GetValueOrDefault("default_netvm") is { } d && d != s.Vm.Name.Value ? d : "",
            Parse = VmOrNone("netvm", (_, vm) => vm.Property("provides_network") == "True" ? null : "it does not provide network"),
            Veto = NetvmVeto,
        },
        new("provides_network", PropertyType.Bool, "Whether other VMs may have it as their netvm.") { Default = _ => "False", Parse = Bool, Veto = ProvidesNetworkVeto },
        new("mac", PropertyType.Str, "Ethernet address of its network card.") { Default = _ => "00:16:3e:5e:6c:00", Parse = Mac },
        new("ip", PropertyType.Str, "IPv4 address, by default from its qid.")
        {
            Default = s => $"10.137.{(s.Vm!.Qid >> 8) & 0x7f}.{s.Vm.Qid & 0xff}", Parse = Address,
        },
    ];

    private static MgmtException? NetvmVeto(PropertyScope scope, string? value)
    {
        var next = value ?? scope.State.Properties.GetValueOrDefault("default_netvm") ?? "";
        var seen = 0;
        while (next.Length > 0 && seen++ <= scope.State.Vms.Count)
        {
            if (next == scope.Vm!.Name.Value)
            {
                return Bad("Loops in network are unsupported: %s would be behind itself", next);
            }
            var vm = scope.State.Find(VmName.Parse(next));
            next = vm?.Property("netvm") ?? (vm is null || vm.Class == VmClass.TemplateVM ? "" : scope.State.Properties.GetValueOrDefault("default_netvm") is { } d && d != next ? d : "");
        }
        return null;
    }

    private static MgmtException? ProvidesNetworkVeto(PropertyScope scope, string? value)
    {
        var name = scope.Vm!.Name.Value;
        return value != "True" && scope.State.Vms.Values.Any(vm => vm.Property("netvm") == name)
            ? Bad("The qube is still used by other qubes as their netvm: %s", name)
            : null;
    }
}
