namespace Mgmt.Core;

/// <summary>How a VM of a test host behaves: how long things take, and what goes wrong.</summary>
public sealed record VmBehaviour
{
    /// <summary>Everything at once and nothing wrong.</summary>
    public static VmBehaviour None { get; } = new();

    /// <summary>How long things take.</summary>
    public VmDelays Delays { get; init; } = new();

    /// <summary>What goes wrong.</summary>
    public VmFaults Faults { get; init; } = new();
}
