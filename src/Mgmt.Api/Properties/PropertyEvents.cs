using Mgmt.State;

namespace Mgmt.Api;

/// <summary>The events of a property's change: names, keys and order as subscribers written for Qubes OS expect them.</summary>
internal readonly record struct PropertyEvents(string Subject, PropertyDefinition Definition, string? OldValue)
{
    internal void Before(IStateTransaction change, string? value)
    {
        if (value is not null)
        {
            Emit(change, "property-pre-set:", value);
            return;
        }
        Emit(change, "property-pre-reset:", null);
        Emit(change, "property-pre-del:", null);
    }

    internal void After(IStateTransaction change, string? value)
    {
        if (Definition.Name == "label")
        {
            change.Emit(new(Subject, "property-reset:icon", [new("name", "icon")]));
        }
        if (value is not null)
        {
            Emit(change, "property-set:", value);
            return;
        }
        Emit(change, "property-reset:", null);
        Emit(change, "property-del:", null);
    }

    private void Emit(IStateTransaction change, string prefix, string? value)
    {
        var pairs = new List<KeyValuePair<string, string>> { new("name", Definition.Name) };
        if (value is not null)
        {
            pairs.Add(new("newvalue", Definition.EventText(value)));
        }
        if (OldValue is not null)
        {
            pairs.Add(new("oldvalue", Definition.EventText(OldValue)));
        }
        change.Emit(new(Subject, prefix + Definition.Name, [.. pairs]));
    }
}
