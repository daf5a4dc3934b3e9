using System.Collections.Immutable;
using System.Globalization;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qemu;

/// <summary>
/// The PCIe ports that a VM was started with, and a USB controller that is plugged into one of them with the first USB device. One change at a time.
/// </summary>
internal sealed partial class QemuDeviceSlots(string vm, Func<QmpConnection> monitor, QemuOptions options, Action<DeviceAddress> gone, TimeProvider time, ILogger log)
    : IDeviceSlots, IAsyncDisposable
{
    private const string UsbPrefix = "mgmt-usb-";
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly CancellationTokenSource _stop = new();

    private DeviceCommands Commands => new(monitor(), options.CommandTimeout);

    private DiskCommands Disks => new(monitor(), options.CommandTimeout);

    /// <inheritdoc/>
    public async Task<ImmutableArray<DeviceAttachment>> ListAsync(CancellationToken cancellation) => [.. (await TagsAsync(cancellation)).Select(tag => tag.Attachment)];

    /// <inheritdoc/>
    public async Task AttachAsync(DeviceAttachment wanted, OpenDevice device, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            var ids = await Commands.IdsAsync(cancellation);
            var onUsb = device is OpenDevice.UsbDevice || wanted.Options.OnUsb;
            var bus = onUsb ? await UsbBusAsync(ids, cancellation) : "";
            var slot = onUsb ? FreeUsbSlot(ids) : FreePort(ids);
            var tag = new DeviceTag(slot, wanted);
            await DeviceRemains.RemoveAsync(Disks, slot, options.CommandTimeout, time, cancellation);
            try
            {
                await PlugAsync(tag, device, onUsb ? bus : Port(slot), cancellation);
            }
            catch
            {
                await TidyAsync(slot);
                throw;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Waits for what goes on in the background; what is attached stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loose;
        _stop.Dispose();
        _turn.Dispose();
    }

    private async Task PlugAsync(DeviceTag tag, OpenDevice device, string bus, CancellationToken cancellation)
    {
        switch (device)
        {
            case OpenDevice.Disk disk:
                await PlugDiskAsync(tag, disk, bus, cancellation);
                break;
            case OpenDevice.UsbDevice usb:
                var set = await Commands.AddFileAsync(usb.Node, DeviceTag.NodePrefix(tag.Slot), cancellation);
                await Commands.AddDeviceAsync("usb-host", tag.Id, bus, cancellation, ("hostdevice", string.Create(CultureInfo.InvariantCulture, $"/dev/fdset/{set}")));
                break;
            case OpenDevice.PciFunction function:
                await Commands.AddDeviceAsync("vfio-pci", tag.Id, bus, cancellation, ("host", function.Location));
                break;
            case OpenDevice.Microphone:
                // Of the sound cards that can be plugged in while the guest runs, the one that most guests know and that records.
                await Commands.AddDeviceAsync("AC97", tag.Id, bus, cancellation, ("audiodev", QemuCommandLine.MicrophoneId));
                break;
            default:
                throw new MgmtException(ErrorCode.MgmtUnsupportedError, "QEMU cannot be given such a device");
        }
    }

    private async Task PlugDiskAsync(DeviceTag tag, OpenDevice.Disk disk, string bus, CancellationToken cancellation)
    {
        string? below = null;
        for (var i = disk.Layers.Length - 1; i >= 0; i--)
        {
            var layer = disk.Layers[i];
            var readOnly = i > 0 || disk.ReadOnly || layer.ReadOnly;
            var node = DeviceTag.NodePrefix(tag.Slot) + (i == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"-{i}"));
            using var reopened = readOnly && !Descriptors.IsReadOnly(layer.File) ? Descriptors.ReopenReadOnly(layer.File) : null;
            var given = layer with { File = reopened ?? layer.File };
            var set = await Commands.AddFileAsync(given.File, DeviceTag.NodePrefix(tag.Slot), cancellation);
            await Commands.AddImageAsync(node, below, set, given, readOnly, cancellation);
            below = node;
        }
        // A disk that is pulled out of the host must not stop the guest, unlike its own ones.
        await Commands.AddDeviceAsync(tag.Attachment.Options.OnUsb ? "usb-storage" : "virtio-blk-pci", tag.Id, bus, cancellation,
            ("drive", below!), ("serial", SerialOf(tag.Attachment)), ("werror", "report"), ("rerror", "report"));
    }

    /// <summary>What the guest finds the disk by; QEMU takes 20 characters.</summary>
    private static string SerialOf(DeviceAttachment attachment)
    {
        var name = attachment.Options.FrontendName.Length > 0 ? attachment.Options.FrontendName : attachment.Device.Port;
        return name.Length <= 20 ? name : name[..20];
    }

    private async Task<IReadOnlyList<DeviceTag>> TagsAsync(CancellationToken cancellation) =>
        [.. (await Commands.IdsAsync(cancellation)).Select(DeviceTag.TryParse).OfType<DeviceTag>()];

    private static string Port(int slot) => string.Create(CultureInfo.InvariantCulture, $"{QemuCommandLine.PortPrefix}{slot}");

    private static int FreePort(IReadOnlyList<string> ids)
    {
        var taken = ids.Select(DeviceTag.TryParse).OfType<DeviceTag>().Select(tag => tag.Slot).Concat(ids.Select(id => Number(id, UsbPrefix)).OfType<int>()).ToHashSet();
        var free = ids.Select(id => Number(id, QemuCommandLine.PortPrefix)).OfType<int>().Where(port => !taken.Contains(port)).Order().ToList();
        return free.Count > 0 ? free[0] : throw new MgmtException(ErrorCode.MgmtBusyError, "The VM has no place left for a device; see the setting device-ports");
    }

    private static int FreeUsbSlot(IReadOnlyList<string> ids)
    {
        var taken = ids.Select(DeviceTag.TryParse).OfType<DeviceTag>().Select(tag => tag.Slot).ToHashSet();
        return Enumerable.Range(DeviceTag.FirstUsbSlot, 100).First(slot => !taken.Contains(slot));
    }

    /// <summary>A guest without USB devices has no controller to attack; it stays once it is there.</summary>
    private async Task<string> UsbBusAsync(IReadOnlyList<string> ids, CancellationToken cancellation)
    {
        if (ids.FirstOrDefault(id => Number(id, UsbPrefix) is not null) is { } there)
        {
            return there + ".0";
        }
        var port = FreePort(ids);
        var id = string.Create(CultureInfo.InvariantCulture, $"{UsbPrefix}{port}");
        await Commands.AddDeviceAsync("qemu-xhci", id, Port(port), cancellation, ("p2", "8"), ("p3", "8"));
        return id + ".0";
    }

    private static int? Number(string id, string prefix) =>
        id.StartsWith(prefix, StringComparison.Ordinal) && int.TryParse(id.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Removes what a failed attach left; what cannot be removed now is when the place is used again.</summary>
    private async Task TidyAsync(int slot)
    {
        try
        {
            await DeviceRemains.RemoveAsync(Disks, slot, options.CommandTimeout, time, _stop.Token);
        }
        catch (Exception e) when (e is MgmtException or OperationCanceledException)
        {
            Log.DeviceRemains(log, vm, e);
        }
    }
}
