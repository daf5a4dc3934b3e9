using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>A temporary file of a pool that becomes a revision.</summary>
internal sealed class SnapshotTarget(FilePool pool, VolumeRecord volume, TempFile file, ImageLayer image) : ISnapshotTarget, IDisposable
{
    public ImageLayer Image => image;

    public Task<Revision> CompleteAsync(RevisionTraits traits, CancellationToken cancellation) => pool.CompleteAsync(volume, file, traits, cancellation);

    public void Dispose()
    {
        image.File.Dispose();
        file.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }
}
