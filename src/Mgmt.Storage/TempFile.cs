namespace Mgmt.Storage;

/// <summary>A temporary file of a pool; deleted when disposed, if it still has its first name.</summary>
internal sealed class TempFile(string path, Action gone) : IDisposable
{
    internal string Path => path;

    public void Dispose()
    {
        File.Delete(path);
        gone();
    }
}
