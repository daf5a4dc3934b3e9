using Mgmt.Core;

namespace Mgmt.Devices;

/// <summary>The one microphone, <c>dom0+mic</c>: what the host records from, when it can and the configuration names a backend for it.</summary>
internal sealed class Microphones(HostDeviceOptions options) : IHostClass
{
    /// <summary>A backend that records silence and needs no sound card.</summary>
    private const string Silence = "none";

    /// <inheritdoc/>
    public IEnumerable<DeviceInfo> List()
    {
        if (options.AudioBackend == Silence || (options.AudioBackend.Length > 0 && CanRecord()))
        {
            yield return new DeviceInfo(DeviceAddress.Of(DeviceClass.Mic, VmName.Dom0, "mic")) { Description = "Microphone" };
        }
    }

    /// <inheritdoc/>
    public IEnumerable<string> Problems() => options.AudioBackend is "" or Silence || CanRecord() ? [] : ["audio-backend is set, and the host has nothing to record with: there is no microphone"];

    /// <inheritdoc/>
    public OpenDevice? Open(DeviceInfo device, bool readOnly) => device.Address.Class == DeviceClass.Mic ? new OpenDevice.Microphone() : null;

    // pcmC0D0c: card 0, device 0, capture.
    private bool CanRecord() => SysTree.Names(Path.Combine(options.SysRoot, "class", "sound")).Any(name => name.StartsWith("pcmC", StringComparison.Ordinal) && name.EndsWith('c'));
}
