using Mgmt.Core;

namespace Mgmt.Qemu;

internal sealed partial class QemuDeviceSlots
{
    private readonly Lock _gate = new();
    // Guarded by _gate: who waits for the end of a device, by its id.
    private readonly Dictionary<string, TaskCompletionSource<bool>> _waiting = [];
    private Task _loose = Task.CompletedTask;

    /// <inheritdoc/>
    public async Task DetachAsync(DeviceAddress device, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            var tag = (await TagsAsync(cancellation)).FirstOrDefault(tag => tag.Attachment.Device == device)
                ?? throw new MgmtException(ErrorCode.DeviceNotAssigned, "The device is not attached: %s", device.ToString());
            await UnplugAsync(tag, cancellation);
            await TidyAsync(tag.Slot);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>DEVICE_DELETED came. Who does not wait for it any more is told by a signal.</summary>
    public void Deleted(string id)
    {
        if (DeviceTag.TryParse(id) is not { } tag)
        {
            return;
        }
        lock (_gate)
        {
            if (_waiting.TryGetValue(id, out var waiter))
            {
                waiter.TrySetResult(true);
                return;
            }
            _loose = LetGoAsync(_loose, tag);
        }
    }

    /// <summary>DEVICE_UNPLUG_GUEST_ERROR came: the guest says no.</summary>
    public void Refused(string id)
    {
        lock (_gate)
        {
            if (_waiting.TryGetValue(id, out var waiter))
            {
                waiter.TrySetResult(false);
            }
        }
    }

    private async Task UnplugAsync(DeviceTag tag, CancellationToken cancellation)
    {
        var waiter = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _waiting[tag.Id] = waiter;
        }
        try
        {
            await AskToGoAsync(tag, cancellation);
            if (!await waiter.Task.WaitAsync(options.DetachTimeout, time, cancellation))
            {
                throw new MgmtException(ErrorCode.QubesException, "The guest refuses to let go of %s", tag.Attachment.Device.ToString());
            }
        }
        catch (TimeoutException e)
        {
            if ((await TagsAsync(cancellation)).Any(left => left.Id == tag.Id))
            {
                throw new MgmtException(e, ErrorCode.MgmtTimeoutError, "The guest does not let go of %s; it stays attached", tag.Attachment.Device.ToString());
            }
        }
        finally
        {
            lock (_gate)
            {
                _waiting.Remove(tag.Id);
            }
        }
    }

    private async Task AskToGoAsync(DeviceTag tag, CancellationToken cancellation)
    {
        try
        {
            await Commands.RemoveDeviceAsync(tag.Id, cancellation);
        }
        catch (MgmtException e) when (e.Code == ErrorCode.QubesException && e.Message.Contains("in the process of unplug", StringComparison.Ordinal))
        {
            // Asked before; it is waited for all the same.
        }
    }

    private async Task LetGoAsync(Task before, DeviceTag tag)
    {
        await before;
        try
        {
            await _turn.WaitAsync(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            return;
        }
        try
        {
            await TidyAsync(tag.Slot);
        }
        finally
        {
            _turn.Release();
        }
        gone(tag.Attachment.Device);
    }
}
