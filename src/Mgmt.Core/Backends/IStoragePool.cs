using System.Collections.Immutable;
using System.IO.Pipelines;

namespace Mgmt.Core;

/// <summary>A storage pool at work. Listing, usage and revisions are served from memory; the rest touches disks and may take long.
/// What a driver cannot do it refuses with StoragePoolException: so do the members with a body, for drivers that do not have their own.</summary>
public interface IStoragePool : IAsyncDisposable
{
    /// <summary>What is configured.</summary>
    PoolRecord Record { get; }

    /// <summary>Takes up changed settings (revisions_to_keep, ephemeral_volatile); everything else of the record stays as it was opened.</summary>
    void Reconfigure(PoolRecord record)
    {
    }

    /// <summary>Whether its volumes can be ephemeral: encrypted with a key that is forgotten with the run.</summary>
    bool CanBeEphemeral => false;

    /// <summary>Capacity and use in bytes, as of a moment ago.</summary>
    PoolUsage Usage { get; }

    /// <summary>The ids of the volumes it holds, sorted.</summary>
    ImmutableArray<Vid> Volumes { get; }

    /// <summary>Bytes a volume takes on disk, as of a moment ago; 0 when it holds nothing yet.</summary>
    long UsageBytes(Vid vid);

    /// <summary>Makes a volume, empty; for snap_on_start ones only what their record needs. Durable when it returns. ERRORS: StoragePoolException, MgmtNoSpaceError.</summary>
    Task CreateAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>Fills a stopped volume with exactly <paramref name="sizeBytes"/> raw bytes, keeping what it held as a revision; on any failure it stays as it was. ERRORS: ProtocolError (too few or too many bytes), StoragePoolException, MgmtNoSpaceError.</summary>
    Task ImportAsync(VolumeRecord volume, PipeReader data, long sizeBytes, IProgress<CopyProgress>? progress, CancellationToken cancellation);

    /// <summary>Removes a volume and all that belongs to it. Removing what is not there does nothing.</summary>
    Task RemoveAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>Makes a volume ready for a run: a fresh snapshot of its source, a fresh scratch file, or itself. ERRORS: StoragePoolException, MgmtNoSpaceError, QubesVolumeNotFoundError.</summary>
    Task<OpenVolume> StartAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>After a run: drops what is not saved, keeps revisions of what is. Repeating it does nothing.</summary>
    Task StopAsync(VolumeRecord volume, CancellationToken cancellation);

    /// <summary>Whether the source of a running snapshot changed since it was made.</summary>
    bool IsOutdated(VolumeRecord volume);

    /// <summary>Opens a kernel of a kernels pool. ERRORS: QubesVolumeNotFoundError, StoragePoolException when the pool holds no kernels.</summary>
    BootImage OpenKernel(string kernel);

    /// <summary>A volume's revisions, oldest first. Served from memory.</summary>
    ImmutableArray<Revision> Revisions(VolumeRecord volume) => [];

    /// <summary>
    /// Keeps what a volume without a run holds as a revision; then prunes: the oldest that are not pinned go, until as many are left as the
    /// volume (or the pool) keeps. Durable when it returns. ERRORS: StoragePoolException (it keeps nothing, it runs), MgmtNoSpaceError.
    /// </summary>
    Task<Revision> SnapshotAsync(VolumeRecord volume, RevisionTraits traits, CancellationToken cancellation) => throw Unsupported();

    /// <summary>Makes room for a snapshot of a volume that is in use; the caller has the running VM fill it. ERRORS: StoragePoolException, MgmtNoSpaceError.</summary>
    Task<ISnapshotTarget> OpenSnapshotTargetAsync(VolumeRecord volume, CancellationToken cancellation) => throw Unsupported();

    /// <summary>Removes a revision. ERRORS: QubesVolumeRevisionNotFoundError; StoragePoolException for a pinned one without <paramref name="force"/>.</summary>
    Task RemoveRevisionAsync(VolumeRecord volume, RevisionId revision, bool force, CancellationToken cancellation) => throw Unsupported();

    /// <summary>
    /// Makes a stopped volume what a revision (null: the newest) holds, keeping what it held as a revision; gives its size in bytes after that.
    /// Old or new content at every moment. ERRORS: QubesVolumeRevisionNotFoundError, StoragePoolException (not cleanly stopped), MgmtNoSpaceError.
    /// </summary>
    Task<long> RevertAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation) => throw Unsupported();

    /// <summary>
    /// Gives a volume another size. Of one in use only what the running VM cannot do itself (the space below it) is done; the caller then
    /// has the VM grow its disk. Shrinking is the caller's decision and needs a stopped volume. ERRORS: StoragePoolException, MgmtNoSpaceError.
    /// </summary>
    Task ResizeAsync(VolumeRecord volume, long sizeBytes, bool inUse, CancellationToken cancellation) => throw Unsupported();

    /// <summary>
    /// Opens for reading what a volume holds (of one in use: what it held before that run), or what a revision holds. It does not change while it
    /// is open. ERRORS: QubesVolumeRevisionNotFoundError, QubesVolumeNotFoundError, StoragePoolException (it runs on itself: must be stopped).
    /// </summary>
    Task<OpenVolume> ExportAsync(VolumeRecord volume, RevisionId? revision, CancellationToken cancellation) => throw Unsupported();

    /// <summary>
    /// Fills a stopped volume with an export of any pool, sharing blocks where the file system can; keeps what it held as a revision; gives its size in
    /// bytes after that. On any failure it stays as it was. ERRORS: StoragePoolException, MgmtNoSpaceError.
    /// </summary>
    Task<long> CloneAsync(VolumeRecord target, OpenVolume source, IProgress<CopyProgress>? progress, CancellationToken cancellation) => throw Unsupported();

    /// <summary>Empties a stopped volume, keeping what it held as a revision. ERRORS: StoragePoolException, MgmtNoSpaceError.</summary>
    Task ClearAsync(VolumeRecord volume, CancellationToken cancellation) => throw Unsupported();

    /// <summary>
    /// Compares the pool with all volumes that the records have in it; with <paramref name="mend"/> finishes or takes back unfinished work. Running volumes are
    /// those in <paramref name="inUse"/>, and left alone. Never deletes what no record names.
    /// </summary>
    Task<ImmutableArray<PoolFinding>> CheckAsync(IReadOnlyCollection<VolumeRecord> known, IReadOnlySet<Vid> inUse, bool mend, CancellationToken cancellation) => throw Unsupported();

    private MgmtException Unsupported() => new(ErrorCode.StoragePoolException, "Pool %s cannot do that: its driver is %s", Record.Name.Value, Record.Driver);
}
