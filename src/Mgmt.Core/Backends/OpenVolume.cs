using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Core;

/// <summary>
/// A volume made ready for a run: its image files, opened, the one the guest writes first and what it is backed by after it.
/// Empty where the backend needs no files (the test host).
/// </summary>
public sealed record OpenVolume(VolumeName Name, bool ReadOnly, long SizeBytes, ImmutableArray<ImageLayer> Layers) : IDisposable
{
    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        foreach (var layer in Layers)
        {
            layer.File.Dispose();
        }
    }
}

/// <summary>One image file: Format is <c>raw</c> or <c>qcow2</c>, known from our records and never probed.</summary>
public sealed record ImageLayer(SafeFileHandle File, string Format, bool ReadOnly);
