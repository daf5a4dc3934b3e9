using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>How it is used and when it is started and stopped.</summary>
internal static partial class VmProperties
{
    private static IEnumerable<PropertyDefinition> Life() =>
    [
        new("autostart", PropertyType.Bool, "Start it with the daemon, after the VM that gives it its network.") { Default = _ => "False", Parse = Bool },
        new("default_user", PropertyType.Str, "User inside that services run as.") { Default = WithTemplate("default_user", _ => "user"), Parse = Word("default_user", 32) },
        new("qrexec_timeout", PropertyType.Int, "Seconds to wait for its agents after a start.")
        {
            Default = WithTemplate("qrexec_timeout", s => s.State.Properties.GetValueOrDefault("default_qrexec_timeout") ?? "60"), Parse = Int("qrexec_timeout", 1, 86400),
        },
        new("shutdown_timeout", PropertyType.Int, "Seconds that it gets to shut down.")
        {
            Default = WithTemplate("shutdown_timeout", s => s.State.Properties.GetValueOrDefault("default_shutdown_timeout") ?? "60"), Parse = Int("shutdown_timeout", 1, 86400),
        },
        new("include_in_backups", PropertyType.Bool, "Whether a backup of everything includes it.")
        {
            AppliesTo = Every, Default = s => Core.Parse.Text(s.Vm!.Class != VmClass.RemoteVM && s.Vm.Property("auto_cleanup") != "True"), Parse = Bool,
        },
        new("installed_by_rpm", PropertyType.Bool, "Whether a package manager of the host owns it; then it cannot be removed here.") { Default = _ => "False", Parse = Bool },
        new("updateable", PropertyType.Bool, "Whether software installed in it stays.")
        {
            Access = PropertyAccess.ReadOnly, AppliesTo = c => c != VmClass.RemoteVM,
            Default = s => Core.Parse.Text(s.Vm!.Class is VmClass.TemplateVM or VmClass.StandaloneVM or VmClass.AdminVM),
        },
        new("relayvm", PropertyType.Vm, "VM that calls to and from this remote one go through; empty for none.")
        {
            AppliesTo = c => c == VmClass.RemoteVM, Default = _ => "", Parse = VmOrNone("relayvm", (_, _) => null),
        },
        new("transport_rpc", PropertyType.Str, "Service of the relay that carries calls to it.")
        {
            AppliesTo = c => c == VmClass.RemoteVM, Default = _ => "", Parse = Word("transport_rpc", 64),
        },
        new("remote_name", PropertyType.Str, "Its name on the other host.") { AppliesTo = c => c == VmClass.RemoteVM, Default = _ => "", Parse = Word("remote_name", 31) },
    ];
}
