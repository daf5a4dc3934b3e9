using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Core;

/// <summary>
/// A volume made ready for a run: its image files, opened, the one the guest writes first and what it is backed by after it.
/// Empty where the backend needs no files (the test host).
/// </summary>
public sealed record OpenVolume(VolumeName Name, bool ReadOnly, long SizeBytes, ImmutableArray<ImageLayer> Layers) : IDisposable
{
    /// <summary>What opens the one layer, of the format <c>luks</c>, of an ephemeral volume; null for all others.</summary>
    public VolumeKey? Key { get; init; }

    /// <summary>Closes the files and forgets the key.</summary>
    public void Dispose()
    {
        Key?.Dispose();
        foreach (var layer in Layers)
        {
            layer.File.Dispose();
        }
    }
}

/// <summary>One image file: Format is <c>raw</c>, <c>qcow2</c> or <c>luks</c>, known from our records and never probed.</summary>
public sealed record ImageLayer(SafeFileHandle File, string Format, bool ReadOnly);
