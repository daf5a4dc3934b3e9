using Microsoft.Win32.SafeHandles;

namespace Mgmt.Storage;

/// <summary>The images that are open for exports. They must not change, and an open file has no name that says so.</summary>
internal sealed class OpenExports
{
    private readonly Lock _gate = new();
    private readonly List<(FileStatus.Identity Id, SafeFileHandle File)> _open = [];

    internal void Add(SafeFileHandle file)
    {
        var id = FileStatus.Of(file).Id;
        lock (_gate)
        {
            _open.RemoveAll(export => export.File.IsClosed);
            _open.Add((id, file));
        }
    }

    /// <summary>Whether an image is open.</summary>
    internal bool Holds(FileStatus.Identity id)
    {
        lock (_gate)
        {
            _open.RemoveAll(export => export.File.IsClosed);
            return _open.Exists(export => export.Id == id);
        }
    }

    /// <summary>Whether an open file was given out here.</summary>
    internal bool Gave(SafeFileHandle file)
    {
        lock (_gate)
        {
            return _open.Exists(export => ReferenceEquals(export.File, file));
        }
    }
}
