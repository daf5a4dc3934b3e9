using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// Sets and resets properties of VMs and of the host. The pre-set event is journalled also when the change is vetoed after it.
/// </summary>
public sealed class PropertyWriter(StateStore store, PropertyTable table)
{
    /// <summary>
    /// Sets a property (holder null: the host's). ERRORS: QubesNoSuchPropertyError, QubesPropertyValueError and what the property's own
    /// checks say.
    /// </summary>
    public Task SetAsync(VmName? holder, string name, string text) => ApplyAsync(holder, name, (definition, scope) => definition.Parse(scope, text));

    /// <summary>As SetAsync, to what is made of its text as it then is: of two changes at once none is lost.</summary>
    public Task ChangeAsync(VmName holder, string name, Func<string, string> with) =>
        ApplyAsync(holder, name, (definition, scope) => definition.Parse(scope, with(table.Get(scope.State, scope.Vm, definition).Text)));

    /// <summary>Puts a property back at its default. ERRORS: as for setting; QubesPropertyValueError when there is no default.</summary>
    public Task ResetAsync(VmName? holder, string name) => ApplyAsync(holder, name, (_, _) => null);

    private async Task ApplyAsync(VmName? holder, string name, Func<PropertyDefinition, PropertyScope, string?> value)
    {
        var veto = await store.ApplyAsync(change =>
        {
            var vm = holder is { } vmName ? change.State.Get(vmName) : null;
            var definition = table.Find(vm, name);
            CheckSettable(definition, vm);
            var scope = table.Scope(change.State, vm);
            return Change(change, vm, definition, scope, value(definition, scope));
        }, CancellationToken.None);
        if (veto is not null)
        {
            throw veto;
        }
    }

    private static void CheckSettable(PropertyDefinition definition, VmRecord? vm)
    {
        if (definition.Access != PropertyAccess.Settable)
        {
            throw new MgmtException(ErrorCode.QubesPropertyValueError,
                definition.Access == PropertyAccess.WriteOnce ? "Property %s of %s is given when it is made and cannot be changed" : "Property %s of %s is read-only",
                definition.Name, vm?.Name.Value ?? "the host");
        }
    }

    private MgmtException? Change(IStateTransaction change, VmRecord? vm, PropertyDefinition definition, PropertyScope scope, string? value)
    {
        var before = table.Get(change.State, vm, definition);
        if (value is null && before.IsDefault)
        {
            return null;
        }
        var events = new PropertyEvents(vm?.Name.Value ?? "", definition, Old(definition, scope, before));
        events.Before(change, value);
        if (value is null && definition.Default(scope) is null)
        {
            return new(ErrorCode.QubesPropertyValueError, "Property %s of %s has no default to go back to", definition.Name, scope.Holder);
        }
        if (definition.Veto(scope, value) is { } veto)
        {
            return veto;
        }
        if (vm is null)
        {
            change.SetProperty(definition.Name, value);
        }
        else
        {
            change.PutVm(Follow(change.State.Get(vm.Name).WithProperty(definition.Name, value), definition, change.State));
            ServiceTags.Follow(change, vm.Name, definition.Name);
        }
        events.After(change, value);
        return null;
    }

    /// <summary>A new template also means that the volumes that are snapshots of the template's are snapshots of others.</summary>
    private static VmRecord Follow(VmRecord vm, PropertyDefinition definition, HostState state)
    {
        if (definition.Name != "template")
        {
            return vm;
        }
        var template = state.Get(VmName.Parse(vm.Property("template")!));
        foreach (var volume in vm.Volumes.Values.Where(v => v.SnapOnStart))
        {
            var source = template.Volumes[volume.Name];
            vm = vm with { Volumes = vm.Volumes.SetItem(volume.Name, volume with { Source = VmBlueprint.Origin(source), SizeBytes = source.SizeBytes }) };
        }
        return vm;
    }

    private static string? Old(PropertyDefinition definition, PropertyScope scope, PropertyValue before) =>
        before.IsDefault ? definition.Default(scope) : before.Text;
}
