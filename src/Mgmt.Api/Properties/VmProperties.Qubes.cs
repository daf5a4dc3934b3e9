using System.Globalization;
using System.Net;
using System.Net.Sockets;
using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>What clients of Qubes OS look for, and what disposables have. SOURCE: docs/qubes-compat.md.</summary>
internal static partial class VmProperties
{
    private const string NoStubdom = "There are no stub domains on this host, so %s cannot be set";

    private static IEnumerable<PropertyDefinition> Qubes() =>
    [
        Services("guivm", "VM that shows its windows; empty for none.", "default_guivm"),
        Services("audiovm", "VM that plays its sound; empty for none.", "default_audiovm"),
        new("management_dispvm", PropertyType.Vm, "VM that the disposables are made from that manage this one; empty for none.")
        {
            Default = WithTemplate("management_dispvm", s => s.State.Properties.GetValueOrDefault("management_dispvm") ?? ""), Parse = VmOrNone("management_dispvm", NotDispTemplate),
        },
        new("bootmode", PropertyType.Str, "How its guest boots, by a name that its features explain.") { Default = _ => "default", Parse = Word("bootmode", 64) },
        new("appvm_default_bootmode", PropertyType.Str, "How VMs made from this template boot.")
        {
            AppliesTo = c => c == VmClass.TemplateVM, Default = _ => "default", Parse = Word("appvm_default_bootmode", 64),
        },
        new("backup_timestamp", PropertyType.Int, "When it was last backed up, in seconds since 1970; empty for never.") { Default = _ => "", Parse = Int("backup_timestamp", 0, int.MaxValue) },
        new("keyboard_layout", PropertyType.Str, "Keyboard: layout, variant and options with + between them.")
        {
            AppliesTo = c => c != VmClass.RemoteVM, Default = KeyboardOfGuivm, Parse = Keyboard,
        },
        new("stubdom_mem", PropertyType.Int, "Memory of its stub domain; empty, for there is none on this host.") { Default = _ => "", Parse = (_, _) => throw Bad(NoStubdom, "stubdom_mem") },
        Computed("stubdom_xid", PropertyType.Int, "Number of its stub domain: -1, for there is none on this host.", _ => "-1"),
        Computed("stubdom_uuid", PropertyType.Str, "UUID of its stub domain: empty, for there is none on this host.", _ => ""),
        Computed("xid", PropertyType.Int, "Number of its run: its qid, and -1 while it is halted. There is no Xen that would give it another.", Xid) with { AppliesTo = c => c != VmClass.RemoteVM },
        Computed("gateway", PropertyType.Str, "Address that the VMs behind it send to; empty unless it provides network.", s => Ip(s.Vm!.Property("provides_network") == "True" ? s.Vm : null)),
        Computed("gateway6", PropertyType.Str, "The same for IPv6, which is not built yet: empty.", _ => ""),
        new("ip6", PropertyType.Str, "IPv6 address; empty for none.") { Default = _ => "", Parse = Address6 },
        Computed("visible_ip", PropertyType.Str, "Address that it is told it has.", s => s.Vm!.Features.GetValueOrDefault("net.fake-ip") ?? Ip(s.Vm)),
        Computed("visible_ip6", PropertyType.Str, "IPv6 address that it is told it has.", s => s.Vm!.Property("ip6") ?? ""),
        Computed("visible_gateway", PropertyType.Str, "Gateway that it is told of; empty without a netvm.", s => s.Vm!.Features.GetValueOrDefault("net.fake-gateway") ?? Ip(NetvmOf(s))),
        Computed("visible_gateway6", PropertyType.Str, "IPv6 gateway that it is told of; empty.", _ => ""),
        Computed("visible_netmask", PropertyType.Str, "Netmask that it is told of; empty without a netvm.", s => s.Vm!.Features.GetValueOrDefault("net.fake-netmask") ?? (NetvmOf(s) is null ? "" : "255.255.255.255")),
        Computed("dns", PropertyType.Str, "Name servers that it is told of, with a space between them; empty without a network.", s => NetvmOf(s) is null && s.Vm!.Property("provides_network") != "True" ? "" : "10.139.1.1 10.139.1.2"),
        new("dispid", PropertyType.Int, "Number of the disposable: that in its name, else its qid.") { Access = PropertyAccess.WriteOnce, AppliesTo = IsDisposable, Default = DispId },
        new("auto_cleanup", PropertyType.Bool, "Whether it is removed when its run is over.") { AppliesTo = IsDisposable, Default = _ => "False", Parse = Bool },
        Computed("is_preload", PropertyType.Bool, "Whether it was made ahead, and nobody has it yet.", s => Core.Parse.Text(Preloading.IsPreload(s.State, s.Vm!))) with { AppliesTo = IsDisposable },
    ];

    private static PropertyDefinition Computed(string name, PropertyType type, string help, Func<PropertyScope, string?> value) =>
        new(name, type, help) { Access = PropertyAccess.ReadOnly, Default = value };

    private static PropertyDefinition Services(string name, string help, string global) =>
        new(name, PropertyType.Vm, help) { Default = s => s.State.Properties.GetValueOrDefault(global) ?? "dom0", Parse = VmOrNone(name, (_, _) => null) };

    private static bool IsDisposable(VmClass c) => c == VmClass.DispVM;

    private static string Xid(PropertyScope scope) => Number(scope.Vm!.Status.State == VmState.Halted ? -1 : scope.Vm.Qid);

    private static string DispId(PropertyScope scope)
    {
        var name = scope.Vm!.Name.Value;
        return name.StartsWith("disp", StringComparison.Ordinal) && int.TryParse(name.AsSpan(4), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? Number(number) : Number(scope.Vm.Qid);
    }

    private static VmRecord? NetvmOf(PropertyScope scope) => Netvm(scope.State, scope.Vm!) is { Length: > 0 } netvm ? scope.State.Find(VmName.Parse(netvm)) : null;

    private static string Ip(VmRecord? vm) => vm is null ? "" : vm.Property("ip") ?? DefaultIp(vm);

    private static string KeyboardOfGuivm(PropertyScope scope)
    {
        var guivm = scope.Vm!.Property("guivm") ?? scope.State.Properties.GetValueOrDefault("default_guivm") ?? "dom0";
        return scope.Vm.Class != VmClass.AdminVM && guivm.Length > 0 && scope.State.Find(VmName.Parse(guivm))?.Property("keyboard_layout") is { } layout ? layout : "us++";
    }

    private static string Keyboard(PropertyScope scope, string text)
    {
        var parts = text.Split('+');
        return parts.Length == 3 && parts[0].Length > 0 && text.Length <= 255 && text.All(c => char.IsAsciiLetterOrDigit(c) || "+_-,:".Contains(c, StringComparison.Ordinal))
            ? text
            : throw Bad("keyboard_layout is LAYOUT+VARIANT+OPTIONS, such as us++ or de+nodeadkeys+");
    }

    private static string Address6(PropertyScope scope, string text) => text.Length == 0 || (IPAddress.TryParse(text, out var ip) && ip.AddressFamily == AddressFamily.InterNetworkV6 && ip.ToString() == text)
        ? text
        : throw Bad("ip6 is an IPv6 address in its shortest form, such as fd09:24ef:4179::5");
}
