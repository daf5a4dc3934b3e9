using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>A snapshot of a VM in use: a file without a name, into which nobody copies anything.</summary>
internal sealed class TestSnapshotTarget : ISnapshotTarget
{
    private readonly Func<RevisionTraits, Revision> _complete;

    public TestSnapshotTarget(Func<RevisionTraits, Revision> complete)
    {
        _complete = complete;
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Image = new ImageLayer(File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite), "raw", ReadOnly: false);
        File.Delete(path);
    }

    public ImageLayer Image { get; }

    public Task<Revision> CompleteAsync(RevisionTraits traits, CancellationToken cancellation) => Waiting.Now(() => _complete(traits), cancellation);

    public ValueTask DisposeAsync()
    {
        Image.File.Dispose();
        return ValueTask.CompletedTask;
    }
}
