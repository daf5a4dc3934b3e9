namespace Mgmt.Core;

/// <summary>
/// A copy of a running VM's disk under way: the disk as it was when the copy began, whatever the guest writes meanwhile.
/// Disposing one that is not complete cancels it.
/// </summary>
public interface IDiskCopy : IAsyncDisposable
{
    /// <summary>How far it is.</summary>
    CopyProgress Progress { get; }

    /// <summary>Completes when every byte is in the target. ERRORS: MgmtNoSpaceError, StoragePoolException, MgmtUnavailableError when the VM ended; MgmtCancelledError.</summary>
    Task Completed { get; }
}
