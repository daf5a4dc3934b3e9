using Mgmt.Core;

namespace Mgmt.Storage;

/// <summary>Volumes whose content nobody can read after a run. SOURCE: docs/storage.md, "Ephemeral volumes".</summary>
internal sealed partial class FilePool
{
    // Each failure takes some milliseconds; where the clock is coarse, more than half of the tries fail.
    private const int EncryptTries = 50;

    public bool CanBeEphemeral => true;

    /// <summary>An empty run, encrypted with a key that is made here and goes with what is opened.</summary>
    private async Task<OpenVolume> StartEphemeralAsync(VolumeRecord volume, VolumeFiles files, CancellationToken cancellation)
    {
        var key = VolumeKey.Create();
        try
        {
            await PublishEncryptedAsync(files.Run, volume.SizeBytes, key, cancellation);
            var file = PoolDirectory.Open(files.Run, volume.Writable);
            return new OpenVolume(volume.Name, !volume.Writable, volume.SizeBytes, [new ImageLayer(file, "luks", !volume.Writable)]) { Key = key };
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    private async Task PublishEncryptedAsync(string target, long sizeBytes, VolumeKey key, CancellationToken cancellation)
    {
        for (var tries = 0; tries < EncryptTries; tries++)
        {
            using var temp = _directory.NewTemp();
            if (await _qemuImg.TryCreateEncryptedAsync(temp.Path, sizeBytes, key, cancellation))
            {
                _directory.Publish(temp.Path, target, durable: false);
                return;
            }
        }
        throw new MgmtException(ErrorCode.StoragePoolException, "qemu-img cannot encrypt: it does not get accurate processor times");
    }

    private static long SizeOfEncrypted(Vid vid, string file)
    {
        using var handle = PoolDirectory.Open(file, write: false);
        return LuksHeader.SizeOf(handle, vid);
    }

    private void RequireEmptyAtStart(VolumeRecord volume)
    {
        if (volume.Ephemeral && (volume.SaveOnStop || volume.SnapOnStart))
        {
            throw new MgmtException(ErrorCode.StoragePoolException, "Volume %s cannot be ephemeral: only one that begins empty and keeps nothing can", IdOf(volume).Value);
        }
    }
}
