using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Which logical volumes are being read, as far as this daemon opened them, by UUID: names change hands.</summary>
internal sealed class LvmOpenExports
{
    private readonly Lock _gate = new();
    private readonly List<(string Uuid, OpenVolume Volume)> _open = []; // under the gate

    internal OpenVolume Track(string uuid, OpenVolume volume)
    {
        lock (_gate)
        {
            _open.RemoveAll(IsClosed);
            _open.Add((uuid, volume));
        }
        return volume;
    }

    internal bool AnyOpen(string uuid)
    {
        lock (_gate)
        {
            _open.RemoveAll(IsClosed);
            return _open.Exists(entry => entry.Uuid == uuid);
        }
    }

    /// <summary>The UUID of what an export reads; null when it is none of this pool.</summary>
    internal string? UuidOf(OpenVolume volume)
    {
        lock (_gate)
        {
            return _open.Find(entry => ReferenceEquals(entry.Volume, volume)).Uuid;
        }
    }

    private static bool IsClosed((string Uuid, OpenVolume Volume) entry) => entry.Volume.Layers.All(layer => layer.File.IsClosed);
}
