using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>What its virtual machine is made of.</summary>
internal static partial class VmProperties
{
    private const int MaxMemoryMiB = 16 * 1024 * 1024;

    private static IEnumerable<PropertyDefinition> Machine() =>
    [
        new("memory", PropertyType.Int, "Memory in MiB, in force from the next start.")
        {
            Default = WithTemplate("memory", _ => "400"), Parse = Int("memory", 1, MaxMemoryMiB),
        },
        new("maxmem", PropertyType.Int, "Most memory in MiB that balancing may give it. 0: its memory stays as it is, which is so on this host until balancing is built.")
        {
            Default = WithTemplate("maxmem", _ => "0"), Parse = Int("maxmem", 0, MaxMemoryMiB),
        },
        new("vcpus", PropertyType.Int, "Number of virtual processors, in force from the next start.")
        {
            Default = WithTemplate("vcpus", _ => "2"), Parse = Int("vcpus", 1, 255),
        },
        new("virt_mode", PropertyType.Str, "Kind of virtual machine: hvm, or pvh, which this host runs as hvm with a kernel of its own. pv needs Xen.")
        {
            Default = WithTemplate("virt_mode", _ => "hvm"), Parse = VirtMode,
        },
        new("kernel", PropertyType.Str, "Kernel that it boots, by its name in the kernels pool; empty to boot from its own disk.")
        {
            Default = WithTemplate("kernel", s => s.State.Properties.GetValueOrDefault("default_kernel") ?? ""), Parse = Kernel,
        },
        new("kernelopts", PropertyType.Str, "Options for its kernel, added to the console's.")
        {
            Default = WithTemplate("kernelopts", _ => ""), Parse = Printable,
        },
        new("debug", PropertyType.Bool, "Keep everything its console prints.") { Default = _ => "False", Parse = Bool },
        new("start_time", PropertyType.Str, "When it was started, in seconds since 1970; empty while it is halted.")
        {
            Access = PropertyAccess.ReadOnly,
            Default = s => s.Vm!.Status.Run is { } run && run.StartedAt != default
                ? (run.StartedAt.ToUnixTimeMilliseconds() / 1000.0).ToString("F3", System.Globalization.CultureInfo.InvariantCulture)
                : "",
        },
        new("devices_denied", PropertyType.Str, "Codes of the interfaces that no device attached to the VM may have, seven characters each; see vm.device.denied.")
        {
            AppliesTo = Every, Default = _ => "", Parse = (_, text) => string.Concat(DeniedInterfaces.Parse(text)),
        },
    ];

    /// <summary>The template's value of the property where it has one set, else the given default.</summary>
    private static Func<PropertyScope, string?> WithTemplate(string name, Func<PropertyScope, string?> otherwise) => scope =>
    {
        var seen = 0;
        for (var vm = scope.Vm; vm?.Property("template") is { Length: > 0 } template && seen++ < 8;)
        {
            vm = scope.State.Find(VmName.Parse(template));
            if (vm?.Property(name) is { } value)
            {
                return value;
            }
        }
        return otherwise(scope);
    };

    private static string VirtMode(PropertyScope scope, string text) => text switch
    {
        "hvm" or "pvh" => text,
        "pv" => throw Bad("virt_mode pv needs Xen; this host has hvm and pvh"),
        _ => throw Bad("virt_mode is one of: %s", "hvm, pvh"),
    };

    private static string Kernel(PropertyScope scope, string text)
    {
        if (text.Length == 0)
        {
            return "";
        }
        Vid.Parse(text);
        return scope.Facts.KernelExists(scope.State, text) ? text : throw Bad("Kernel %s is not in the kernels pool", text);
    }
}
