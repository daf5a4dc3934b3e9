namespace Mgmt.Core;

/// <summary>What goes wrong with the volumes of a VM of a test host: messages of StoragePoolException, null where it works.</summary>
public sealed record StorageFaults
{
    /// <summary>Making a volume.</summary>
    public string? Create { get; init; }
    /// <summary>Making a volume ready for a run.</summary>
    public string? Start { get; init; }
    /// <summary>Putting a volume away after a run.</summary>
    public string? Stop { get; init; }
    /// <summary>Filling a volume.</summary>
    public string? Import { get; init; }
    /// <summary>Keeping what a volume holds as a revision, halted or running.</summary>
    public string? Snapshot { get; init; }
    /// <summary>Removing a revision.</summary>
    public string? RemoveRevision { get; init; }
    /// <summary>Going back to a revision.</summary>
    public string? Revert { get; init; }
    /// <summary>Giving a volume another size.</summary>
    public string? Resize { get; init; }
    /// <summary>Opening what a volume holds, for a clone.</summary>
    public string? Export { get; init; }
    /// <summary>Filling a volume with what another one holds.</summary>
    public string? CloneInto { get; init; }
    /// <summary>Emptying a volume.</summary>
    public string? Clear { get; init; }
    /// <summary>Whatever needs space (all but stop, export and the removal of a revision) finds none: MgmtNoSpaceError.</summary>
    public bool NoSpace { get; init; }
}
