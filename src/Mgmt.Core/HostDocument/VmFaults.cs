namespace Mgmt.Core;

/// <summary>What goes wrong with a VM of a test host.</summary>
public sealed record VmFaults
{
    /// <summary>Making the process fails with this message (QubesException).</summary>
    public string? Launch { get; init; }
    /// <summary>Letting the virtual processors run fails with this message (MgmtUnavailableError).</summary>
    public string? Continue { get; init; }
    /// <summary>The guest ignores the agent's shutdown and the power button.</summary>
    public bool IgnoresShutdown { get; init; }
    /// <summary>Copying a disk while the VM runs fails at the end with this message (StoragePoolException).</summary>
    public string? Copy { get; init; }
    /// <summary>What is wrong with the guest agent.</summary>
    public AgentFault Agent { get; init; }
    /// <summary>The agent falls silent for good so long after it began to answer.</summary>
    public TimeSpan? LostAfter { get; init; }
    /// <summary>The process crashes so long after its virtual processors first ran.</summary>
    public TimeSpan? CrashAfter { get; init; }
    /// <summary>The registry of machines does not take the VM; the word is its degraded mark.</summary>
    public string? Machined { get; init; }
    /// <summary>What goes wrong with its volumes.</summary>
    public StorageFaults Storage { get; init; } = new();
}
