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
    /// <summary>Whatever needs space (create, start, import) finds none: MgmtNoSpaceError.</summary>
    public bool NoSpace { get; init; }
}
