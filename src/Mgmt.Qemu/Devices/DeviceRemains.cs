using Mgmt.Core;

namespace Mgmt.Qemu;

/// <summary>Takes away what stands behind an attached device: image nodes and descriptors, ours or a dead daemon's. May be repeated.</summary>
internal static class DeviceRemains
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Removes all of a place that no device uses; QEMU lets go of nodes a moment after the device went. ERRORS: those of <see cref="QmpConnection"/>.</summary>
    public static async Task RemoveAsync(DiskCommands disks, int slot, TimeSpan patience, TimeProvider time, CancellationToken cancellation)
    {
        var prefix = DeviceTag.NodePrefix(slot);
        var began = time.GetTimestamp();
        while (true)
        {
            var nodes = (await disks.NodesAsync(cancellation)).Where(node => node.StartsWith(prefix, StringComparison.Ordinal)).ToList();
            if (nodes.Count == 0)
            {
                break;
            }
            // What stands on another first: formats before their files, upper layers before lower ones.
            foreach (var node in nodes.OrderBy(node => node.EndsWith("-file", StringComparison.Ordinal)).ThenBy(node => node, StringComparer.Ordinal))
            {
                await TryRemoveAsync(disks, node, last: time.GetElapsedTime(began) > patience, cancellation);
            }
            await Task.Delay(Pause, time, cancellation);
        }
        foreach (var set in await disks.FileSetsAsync(prefix, cancellation))
        {
            await disks.RemoveFileAsync(set, cancellation);
        }
    }

    /// <summary>Removes all of every place that has no device: what a daemon left that ended in the middle of a change. ERRORS: those of <see cref="QmpConnection"/>.</summary>
    public static async Task RemoveUnusedAsync(DeviceCommands devices, DiskCommands disks, TimeSpan patience, TimeProvider time, CancellationToken cancellation)
    {
        var used = (await devices.IdsAsync(cancellation)).Select(DeviceTag.TryParse).OfType<DeviceTag>().Select(tag => tag.Slot).ToHashSet();
        var names = (await disks.NodesAsync(cancellation)).Concat(await disks.FileMarksAsync(cancellation));
        foreach (var slot in names.Select(DeviceTag.SlotOf).OfType<int>().Where(slot => !used.Contains(slot)).Distinct().Order().ToList())
        {
            await RemoveAsync(disks, slot, patience, time, cancellation);
        }
    }

    private static async Task TryRemoveAsync(DiskCommands disks, string node, bool last, CancellationToken cancellation)
    {
        try
        {
            await disks.RemoveNodeAsync(node, cancellation);
        }
        catch (MgmtException e) when (e.Code == ErrorCode.QubesException && !last)
        {
            // In use for a moment longer.
        }
    }
}
