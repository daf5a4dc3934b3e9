using Microsoft.Win32.SafeHandles;

namespace Mgmt.Core;

/// <summary>A kernel and its initramfs, opened for reading. Null files where the backend needs none (the test host).</summary>
public sealed record BootImage(string Name, SafeFileHandle? Kernel, SafeFileHandle? Initramfs) : IDisposable
{
    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        Kernel?.Dispose();
        Initramfs?.Dispose();
    }
}
