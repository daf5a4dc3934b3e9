using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Core;

/// <summary>A device made ready to be handed to a VM. Disposing closes what is ours of it; what the VM was given it keeps.</summary>
public abstract record OpenDevice : IDisposable
{
    private OpenDevice()
    {
    }

    /// <summary>Closes the files.</summary>
    public virtual void Dispose()
    {
    }

    /// <summary>A disk: its image files as in <see cref="OpenVolume"/>.</summary>
    public sealed record Disk(ImmutableArray<ImageLayer> Layers, bool ReadOnly) : OpenDevice
    {
        /// <inheritdoc/>
        public override void Dispose()
        {
            foreach (var layer in Layers)
            {
                layer.File.Dispose();
            }
        }
    }

    /// <summary>A USB device: its node below /dev/bus/usb, open for reading and writing.</summary>
    public sealed record UsbDevice(SafeFileHandle Node) : OpenDevice
    {
        /// <inheritdoc/>
        public override void Dispose() => Node.Dispose();
    }

    /// <summary>A function of a PCI device, such as <c>0000:00:1f.2</c>, held by vfio-pci.</summary>
    public sealed record PciFunction(string Location) : OpenDevice;

    /// <summary>What the host records.</summary>
    public sealed record Microphone : OpenDevice;

    /// <summary>Nothing: the test host's.</summary>
    public sealed record Imaginary : OpenDevice;
}
