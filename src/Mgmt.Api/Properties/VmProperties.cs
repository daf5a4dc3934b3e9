using System.Collections.Immutable;
using static Mgmt.Api.PropertyParsers;

namespace Mgmt.Api;

/// <summary>The properties of VMs. SOURCE: the properties of Qubes OS 4.4, as far as they mean something on this host.</summary>
internal static partial class VmProperties
{
    internal static ImmutableArray<PropertyDefinition> All { get; } = [.. Identity(), .. Machine(), .. Network(), .. Life(), .. Qubes()];

    private static IEnumerable<PropertyDefinition> Identity() =>
    [
        new("name", PropertyType.Str, "Name of the VM. Given when it is made.")
        {
            Access = PropertyAccess.WriteOnce, AppliesTo = Every, Default = s => s.Vm!.Name.Value,
        },
        new("qid", PropertyType.Int, "Small number of the VM, unique on this host; 0 is dom0. Its process runs as a user of its own that derives from it.")
        {
            Access = PropertyAccess.WriteOnce, AppliesTo = Every, Default = s => Number(s.Vm!.Qid),
        },
        new("uuid", PropertyType.Str, "UUID of the VM, never used again for another.")
        {
            Access = PropertyAccess.WriteOnce, AppliesTo = Every, Default = s => s.Vm!.Uuid.ToString("D"),
        },
        new("klass", PropertyType.Str, "Class of the VM.") { Access = PropertyAccess.ReadOnly, AppliesTo = Every, Default = s => s.Vm!.Class.ToString() },
        new("label", PropertyType.Label, "Label: the colour that its windows and its name are marked with.")
        {
            AppliesTo = Every, Parse = Label, Veto = (s, _) => s.Vm!.Class == VmClass.AdminVM ? Bad("The label of dom0 stays as it is") : null,
        },
        new("icon", PropertyType.Str, "Name of its icon, from class and label.") { Access = PropertyAccess.ReadOnly, AppliesTo = Every, Default = Icon },
        new("template", PropertyType.Vm, "VM that the root volume is a snapshot of. Can be changed while the VM is halted.")
        {
            AppliesTo = c => c is VmClass.AppVM or VmClass.DispVM, Parse = Template, Veto = TemplateVeto,
        },
        new("template_for_dispvms", PropertyType.Bool, "Whether disposable VMs may be made from this one.")
        {
            AppliesTo = c => c == VmClass.AppVM, Default = _ => "False", Parse = Bool, Veto = DispTemplateVeto,
        },
        new("default_dispvm", PropertyType.Vm, "VM that disposables are made from when this one asks for one; empty for none.")
        {
            AppliesTo = c => c != VmClass.RemoteVM,
            Default = s => s.Vm!.Class == VmClass.DispVM ? s.Vm.Property("template") : s.State.Properties.GetValueOrDefault("default_dispvm") ?? "",
            Parse = VmOrNone("default_dispvm", NotDispTemplate),
        },
    ];

    private static bool Every(VmClass c) => true;

    private static string Icon(PropertyScope scope) => IconOf(scope.Vm!);

    internal static string IconOf(VmRecord vm)
    {
        var kind = vm.Class switch
        {
            VmClass.AdminVM => "adminvm",
            VmClass.TemplateVM => "templatevm",
            VmClass.StandaloneVM => "standalonevm",
            VmClass.DispVM => "dispvm",
            VmClass.RemoteVM => "remotevm",
            _ => vm.Property("provides_network") == "True" ? "netvm" : "appvm",
        };
        return $"{kind}-{vm.Property("label") ?? "black"}";
    }

    private static string Template(PropertyScope scope, string text)
    {
        var template = scope.State.Find(VmName.Parse(text)) ?? throw Bad("Can't set template to non-existing qube %s", text);
        if (scope.Vm?.Class == VmClass.DispVM)
        {
            return NotDispTemplate(scope, template) is { } reason ? throw Bad("Can't set template to %s: %s", text, reason) : text;
        }
        return template.Class == VmClass.TemplateVM ? text : throw Bad("wrong VM class: %s is of type %s and not TemplateVM", text, template.Class.ToString());
    }

    private static MgmtException? TemplateVeto(PropertyScope scope, string? value) => value is null
        ? Bad("template of %s cannot be empty", scope.Holder)
        : scope.Vm!.Status.State != VmState.Halted
            ? new MgmtException(ErrorCode.QubesVMNotHaltedError, "Cannot change template while qube is running: '%s'", scope.Holder)
            : HasDisposables(scope)
                ? new MgmtException(ErrorCode.QubesVMInUseError, "Cannot change template of %s while there are disposable VMs made from it", scope.Holder)
                : VolumeVeto(scope, scope.State.Get(VmName.Parse(value)));

    /// <summary>A snapshot lives where its source does, and no volume is moved by setting a property.</summary>
    private static MgmtException? VolumeVeto(PropertyScope scope, VmRecord template)
    {
        foreach (var volume in scope.Vm!.Volumes.Values.Where(v => v.SnapOnStart))
        {
            if (!template.Volumes.TryGetValue(volume.Name, out var source))
            {
                return Bad("Can't set template to %s: it has no volume %s", template.Name.Value, volume.Name.Wire());
            }
            if (source.Pool != volume.Pool)
            {
                return Bad("Can't set template to %s: its volume %s is in pool %s and that of %s in pool %s", template.Name.Value, volume.Name.Wire(), source.Pool.Value, scope.Holder, volume.Pool.Value);
            }
        }
        return null;
    }

    /// <summary>Those that were made ahead, and nobody has yet, do not count: they are made anew.</summary>
    private static bool HasDisposables(PropertyScope scope) =>
        scope.State.Vms.Values.Any(vm => vm.Class == VmClass.DispVM && vm.Property("template") == scope.Holder && !Preloading.ListOf(scope.Vm!).Contains(vm.Name));

    private static string? NotDispTemplate(PropertyScope scope, VmRecord vm) => vm.Property("template_for_dispvms") == "True" ? null : "template_for_dispvms is not set on it";

    private static MgmtException? DispTemplateVeto(PropertyScope scope, string? value)
    {
        var name = scope.Vm!.Name.Value;
        if (value == "True")
        {
            return null;
        }
        if (HasDisposables(scope))
        {
            return new MgmtException(ErrorCode.QubesVMInUseError, "template_for_dispvms of %s is needed by disposable VMs made from it", name);
        }
        return scope.State.Vms.Values.Any(vm => vm.Property("default_dispvm") == name)
            || scope.State.Properties.GetValueOrDefault("default_dispvm") == name || scope.State.Properties.GetValueOrDefault("management_dispvm") == name
            ? new MgmtException(ErrorCode.QubesVMInUseError, "%s is a default_dispvm or the management_dispvm, which need template_for_dispvms", name)
            : null;
    }
}
