using System.Collections.Immutable;
using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>The properties of the host. SOURCE: the global properties of Qubes OS 4.4.</summary>
internal static class GlobalProperties
{
    internal static ImmutableArray<PropertyDefinition> All { get; } =
    [
        VmProperty("default_netvm", "Netvm of VMs that say none; empty for none.", (_, vm) => vm.Property("provides_network") == "True" ? null : "it does not provide network") with { Veto = VmProperties.DefaultNetvmVeto },
        VmProperty("default_template", "Template of new VMs that name none.", (_, vm) => vm.Class == VmClass.TemplateVM ? null : "it is not a TemplateVM"),
        VmProperty("default_dispvm", "VM that disposables are made from where a VM names none; empty for none.", (_, vm) => vm.Property("template_for_dispvms") == "True" ? null : "template_for_dispvms is not set on it"),
        VmProperty("management_dispvm", "VM that management disposables are made from; empty for none.", (_, vm) => vm.Property("template_for_dispvms") == "True" ? null : "template_for_dispvms is not set on it"),
        VmProperty("default_guivm", "VM that shows windows.", (_, _) => null) with { Default = _ => "dom0" },
        VmProperty("default_audiovm", "VM that plays sound.", (_, _) => null) with { Default = _ => "dom0" },
        VmProperty("updatevm", "VM that fetches updates for the host; empty for none.", (_, _) => null),
        VmProperty("clockvm", "VM that the time is taken from; empty for none.", (_, _) => null),
        new("default_kernel", PropertyType.Str, "Kernel of VMs that say none, by its name in the kernels pool; empty to boot from their disks.")
        {
            Default = _ => "",
            Parse = (scope, text) => text.Length == 0 || scope.Facts.KernelExists(scope.State, text) ? text : throw Bad("Kernel %s is not in the kernels pool", text),
        },
        Pool("default_pool", "Pool of volumes for which nothing else is said.", _ => "default"),
        Pool("default_pool_root", "Pool of new root volumes.", Inherit),
        Pool("default_pool_private", "Pool of new private volumes.", Inherit),
        Pool("default_pool_volatile", "Pool of new volatile volumes.", Inherit),
        Pool("default_pool_kernel", "Pool of kernels.", _ => "linux-kernel"),
        Number("default_qrexec_timeout", "Seconds to wait for agents where a VM says nothing.", 60, 86400),
        Number("default_shutdown_timeout", "Seconds that a VM gets to shut down where it says nothing.", 60, 86400),
        Number("stats_interval", "Seconds between two events of statistics.", 3, 3600),
        new("check_updates_vm", PropertyType.Bool, "Whether VMs look for updates.") { Default = _ => "True", Parse = Bool },
        new("maxmem", PropertyType.Int, "Memory of the host in MiB.") { Access = PropertyAccess.ReadOnly, Default = s => PropertyParsers.Number(s.Facts.MemoryMiB) },
        new("no_cpus", PropertyType.Int, "Processors of the host.") { Access = PropertyAccess.ReadOnly, Default = s => PropertyParsers.Number(s.Facts.Processors) },
    ];

    private static PropertyDefinition VmProperty(string name, string help, Func<PropertyScope, VmRecord, string?> refusal) =>
        new(name, PropertyType.Vm, help) { Default = _ => "", Parse = VmOrNone(name, refusal) };

    private static PropertyDefinition Pool(string name, string help, Func<PropertyScope, string?> otherwise) =>
        new(name, PropertyType.Str, help) { Default = otherwise, Parse = PropertyParsers.Pool };

    private static PropertyDefinition Number(string name, string help, int otherwise, int max) =>
        new(name, PropertyType.Int, help) { Default = _ => PropertyParsers.Number(otherwise), Parse = Int(name, 1, max) };

    private static string Inherit(PropertyScope scope) => scope.State.Properties.GetValueOrDefault("default_pool") ?? "default";
}
