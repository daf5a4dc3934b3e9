namespace Mgmt.Core;

/// <summary>
/// An empty image of a volume's size that a running VM's disk is to be copied into, to become a revision. Disposing one that was not
/// completed removes it; a killed daemon's leftovers are removed when the pool is opened.
/// </summary>
public interface ISnapshotTarget : IAsyncDisposable
{
    /// <summary>The file to write to. Closed on dispose.</summary>
    ImageLayer Image { get; }

    /// <summary>Makes it a revision, durably, and prunes. ERRORS: StoragePoolException, MgmtNoSpaceError.</summary>
    Task<Revision> CompleteAsync(RevisionTraits traits, CancellationToken cancellation);
}
