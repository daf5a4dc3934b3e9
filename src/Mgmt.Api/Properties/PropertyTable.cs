using System.Collections.Frozen;

namespace Mgmt.Api;

/// <summary>The properties of VMs and of the host, and how they are read.</summary>
public sealed class PropertyTable
{
    private static readonly FrozenDictionary<string, PropertyDefinition> Vm = VmProperties.All.ToFrozenDictionary(p => p.Name, StringComparer.Ordinal);
    private static readonly FrozenDictionary<string, PropertyDefinition> Global = GlobalProperties.All.ToFrozenDictionary(p => p.Name, StringComparer.Ordinal);
    private static readonly FrozenDictionary<VmClass, PropertyDefinition[]> ByClass =
        Enum.GetValues<VmClass>().ToFrozenDictionary(c => c, c => InOrder(VmProperties.All.Where(p => p.AppliesTo(c)), IsLoadedLate));
    // Qubes OS loads all of the host's at one stage.
    private static readonly PropertyDefinition[] OfHost = InOrder(GlobalProperties.All, _ => false);

    private readonly HostFacts _facts;

    /// <summary>The tables over the facts of this host.</summary>
    public PropertyTable(HostFacts facts) => _facts = facts;

    /// <summary>The properties of a VM, or of the host for null, in the order they are listed.</summary>
    public IReadOnlyList<PropertyDefinition> List(VmRecord? vm) => vm is null ? OfHost : ByClass[vm.Class];

    /// <summary>By the stage at which Qubes OS loads them, then by name: its clients show them in this order.</summary>
    private static PropertyDefinition[] InOrder(IEnumerable<PropertyDefinition> definitions, Func<PropertyDefinition, bool> isLate) => [.. definitions.OrderBy(isLate).ThenBy(p => p.Name, StringComparer.Ordinal)];

    /// <summary>Of a VM: after the others are loaded those that name VMs, and those that are computed from features.</summary>
    private static bool IsLoadedLate(PropertyDefinition property) => property.Type == PropertyType.Vm || property.Name is "kernelopts" or "bootmode" or "appvm_default_bootmode";

    /// <summary>A property of a VM, or of the host for null. ERRORS: QubesNoSuchPropertyError.</summary>
    public PropertyDefinition Find(VmRecord? vm, string name)
    {
        var table = vm is null ? Global : Vm;
        return table.TryGetValue(name, out var definition) && (vm is null || definition.AppliesTo(vm.Class))
            ? definition
            : throw new MgmtException(ErrorCode.QubesNoSuchPropertyError, "Invalid property '%s' of %s", name, vm?.Name.Value ?? "Qubes");
    }

    /// <summary>The type of a property, or null when there is none of the name.</summary>
    internal static PropertyType? TypeOf(string name, bool ofHost) => (ofHost ? Global : Vm).TryGetValue(name, out var definition) ? definition.Type : null;

    /// <summary>What a property is read against.</summary>
    public PropertyScope Scope(HostState state, VmRecord? vm) => new(state, vm, _facts);

    /// <summary>Reads a property. ERRORS: QubesNoSuchPropertyError.</summary>
    public PropertyValue Get(HostState state, VmRecord? vm, string name) => Get(state, vm, Find(vm, name));

    /// <summary>Reads a property.</summary>
    public PropertyValue Get(HostState state, VmRecord? vm, PropertyDefinition definition)
    {
        var set = definition.Access == PropertyAccess.Settable
            ? (vm?.Properties ?? state.Properties).GetValueOrDefault(definition.Name)
            : null;
        return set is not null
            ? new(definition, false, set)
            : new(definition, definition.Access != PropertyAccess.WriteOnce || vm?.Class == VmClass.AdminVM, definition.Default(Scope(state, vm)) ?? "");
    }

    /// <summary>The text of a property, set or default.</summary>
    public string Text(HostState state, VmRecord? vm, string name) => Get(state, vm, name).Text;

    /// <summary>A numeric property. ERRORS: FormatException when the table is wrong about its type.</summary>
    public int Int(HostState state, VmRecord? vm, string name) => int.Parse(Text(state, vm, name), System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A truth property.</summary>
    public bool Bool(HostState state, VmRecord? vm, string name) => Text(state, vm, name) == "True";

    /// <summary>The VM a property names, or null for none, or where the VM has no such property.</summary>
    internal VmRecord? TryReferent(HostState state, VmRecord vm, string name) =>
        Vm.TryGetValue(name, out var definition) && definition.AppliesTo(vm.Class) ? Referent(state, vm, name) : null;

    /// <summary>The VM a property names, or null for none.</summary>
    public VmRecord? Referent(HostState state, VmRecord? vm, string name)
    {
        var text = Text(state, vm, name);
        return text.Length == 0 ? null : state.Find(VmName.Parse(text));
    }
}
