namespace Mgmt.Api;

/// <summary>The type of a property on the wire, in lower case.</summary>
public enum PropertyType
{
    /// <summary>Text.</summary>
    Str,
    /// <summary>A decimal number.</summary>
    Int,
    /// <summary><c>True</c> or <c>False</c>.</summary>
    Bool,
    /// <summary>The name of a VM, or empty for none.</summary>
    Vm,
    /// <summary>The name of a label.</summary>
    Label,
}

/// <summary>Who may set a property.</summary>
public enum PropertyAccess
{
    /// <summary>Whoever the policy allows.</summary>
    Settable,
    /// <summary>Given when the VM is made and never again.</summary>
    WriteOnce,
    /// <summary>Computed.</summary>
    ReadOnly,
}

/// <summary>What a property is read or set against. Vm is null for a property of the host.</summary>
public readonly record struct PropertyScope(HostState State, VmRecord? Vm, HostFacts Facts)
{
    /// <summary>The holder as messages name it.</summary>
    public string Holder => Vm?.Name.Value ?? "the host";
}

/// <summary>A property as data: what it is called, what it holds, where its default comes from, what it takes.</summary>
public sealed record PropertyDefinition(string Name, PropertyType Type, string Help)
{
    /// <summary>Who may set it.</summary>
    public PropertyAccess Access { get; init; } = PropertyAccess.Settable;

    /// <summary>The value while nothing is set; null when there is none. For computed ones: the value.</summary>
    public Func<PropertyScope, string?> Default { get; init; } = _ => null;

    /// <summary>Checks a value and gives it in canonical form. ERRORS: QubesPropertyValueError, QubesValueError.</summary>
    public Func<PropertyScope, string, string> Parse { get; init; } = (_, text) => text;

    /// <summary>Looks at the change against everything else; a reason to refuse it, or null. Comes after the pre-set event.</summary>
    public Func<PropertyScope, string?, MgmtException?> Veto { get; init; } = (_, _) => null;

    /// <summary>The classes that have it; host properties leave it alone.</summary>
    public Func<VmClass, bool> AppliesTo { get; init; } = c => c is not (VmClass.AdminVM or VmClass.RemoteVM);

    /// <summary>The type as it is written: <c>str int bool vm label</c>.</summary>
    public string TypeName => Type switch
    {
        PropertyType.Int => "int",
        PropertyType.Bool => "bool",
        PropertyType.Vm => "vm",
        PropertyType.Label => "label",
        _ => "str",
    };

    /// <summary>A value as events have it: no VM is <c>None</c>.</summary>
    public string EventText(string value) => Type == PropertyType.Vm && value.Length == 0 ? "None" : value;
}

/// <summary>A property's value as it is read: whether it is the default, and the text (empty when there is neither value nor default).</summary>
public readonly record struct PropertyValue(PropertyDefinition Definition, bool IsDefault, string Text);

/// <summary>What properties need to know of the host and cannot read from the state.</summary>
public sealed record HostFacts
{
    /// <summary>Memory of the host in MiB.</summary>
    public required long MemoryMiB { get; init; }
    /// <summary>Processors of the host.</summary>
    public required int Processors { get; init; }
    /// <summary>Whether the kernels pool holds a kernel.</summary>
    public required Func<HostState, string, bool> KernelExists { get; init; }
}
