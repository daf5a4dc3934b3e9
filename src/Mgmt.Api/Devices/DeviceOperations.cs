using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>Attaches devices to running VMs and detaches them, at any time or as a VM starts. SOURCE: docs/devices.md.</summary>
public sealed class DeviceOperations(LifecycleServices services)
{
    private readonly DeviceSources _sources = new(services);

    /// <summary>What a VM has to give.</summary>
    internal IEnumerable<DeviceInfo> Available(VmRecord backend, DeviceClass deviceClass) => _sources.Of(backend, deviceClass);

    /// <summary>Who the device at an address claims to be, or null when it is not there.</summary>
    internal string? DeviceIdOf(DeviceAddress device) => _sources.Find(services.Store.Current, device)?.DeviceId;

    /// <summary>
    /// Attaches a device. ERRORS: QubesVMNotRunningError, ProtocolError (no such device, or not with that id), DeviceAlreadyAttached, QubesException (denied interface, in use
    /// by the host, refused by QEMU), MgmtBusyError, MgmtUnsupportedError.
    /// </summary>
    internal async Task AttachAsync(VmName name, DeviceAddress address, string? deviceId, DeviceOptions options, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var vm = services.Vm(name);
        if (vm.Status.State is not (VmState.Running or VmState.Paused))
        {
            throw new MgmtException(ErrorCode.QubesVMNotRunningError, "VM not running, cannot attach device, do you mean `assign`? ('%s')", name.Value);
        }
        var device = _sources.Find(services.Store.Current, address)
            ?? throw new MgmtException(ErrorCode.ProtocolError, "Cannot attach unknown %s device: %s", address.Class.Name, address.ToString());
        if (!DeviceArgument.Means(deviceId, device))
        {
            throw new MgmtException(ErrorCode.ProtocolError, "Another device is at %s", address.ToString());
        }
        DeniedInterfaces.Check(vm, device);
        await PutAsync(name, services.Sessions.Get(name).Vm, device, options, cancellation);
    }

    /// <summary>
    /// Detaches a device; returns when the guest has let go. ERRORS: DeviceNotAssigned, QubesVMNotHaltedError (required), MgmtTimeoutError and QubesException (the guest does
    /// not let go: it stays attached).
    /// </summary>
    internal async Task DetachAsync(VmName name, DeviceAddress device, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var vm = services.Vm(name);
        if (!vm.Status.Devices.TryGetValue(device, out var attachment))
        {
            throw new MgmtException(ErrorCode.DeviceNotAssigned, "device %s is not attached to %s", device.ToString(), name.Value);
        }
        if (vm.Assignments.GetValueOrDefault(device)?.Mode == DeviceMode.Required)
        {
            throw new MgmtException(ErrorCode.QubesVMNotHaltedError, "Can not detach a required device from a non-halted qube: '%s'", name.Value);
        }
        await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, $"device-pre-detach:{device.Class}", ("port", device.ToString()))), CancellationToken.None);
        await TakeOutAsync(name, attachment);
    }

    /// <summary>Refuses a start without a device that it needs. ERRORS: QubesException.</summary>
    internal void RequireAssigned(VmName name)
    {
        foreach (var assignment in services.Vm(name).Assignments.Values.Where(a => a.Mode == DeviceMode.Required))
        {
            if (Present(assignment) is null)
            {
                throw Missing(name, assignment);
            }
        }
    }

    /// <summary>Attaches what is assigned to a VM that starts, before its processors run: what is required or fails the start, what is not is left out when it cannot be had.</summary>
    internal async Task AttachAssignedAsync(VmName name, IRunningVm running, CancellationToken cancellation)
    {
        var vm = services.Vm(name);
        foreach (var assignment in vm.Assignments.Values.Where(a => a.Mode != DeviceMode.AskToAttach && !vm.Status.Devices.ContainsKey(a.Device)).OrderByDescending(a => a.Mode))
        {
            try
            {
                await PutAsync(name, running, Present(assignment) ?? throw Missing(name, assignment), assignment.Options, cancellation);
            }
            catch (MgmtException error) when (assignment.Mode != DeviceMode.Required)
            {
                Log.DeviceNotAttached(services.Log, name, assignment.Device, error.Message);
            }
        }
    }

    /// <summary>A device appeared: VMs that run and are to have it get it.</summary>
    internal async Task AttachAppearedAsync(VmName name, DeviceAddress device, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var vm = services.Vm(name);
        if (vm.Status.State is VmState.Running or VmState.Paused && vm.Assignments.GetValueOrDefault(device) is { Mode: not DeviceMode.AskToAttach } assignment
            && !vm.Status.Devices.ContainsKey(device) && Present(assignment) is { } present)
        {
            await PutAsync(name, services.Sessions.Get(name).Vm, present, assignment.Options, cancellation);
        }
    }

    /// <summary>A device went away: who has it lets go of what is left. ERRORS: as <see cref="DetachAsync"/>.</summary>
    internal async Task DetachGoneAsync(VmName name, DeviceAddress device, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        if (services.Vm(name).Status.Devices.TryGetValue(device, out var attachment))
        {
            await TakeOutAsync(name, attachment);
        }
    }

    /// <summary>Keeps open again what a VM that was adopted has of volumes.</summary>
    internal async Task HoldAgainAsync(VmName name, IEnumerable<DeviceAttachment> attached, CancellationToken cancellation)
    {
        foreach (var attachment in attached.Where(a => a.Device.Backend != VmName.Dom0))
        {
            try
            {
                if (_sources.Find(services.Store.Current, attachment.Device) is { } device)
                {
                    services.DeviceLedger.Hold(name, attachment.Device, await _sources.OpenAsync(device, true, cancellation));
                }
            }
            catch (MgmtException error)
            {
                Log.DeviceNotHeld(services.Log, name, attachment.Device, error);
            }
        }
    }

    private async Task PutAsync(VmName name, IRunningVm running, DeviceInfo device, DeviceOptions options, CancellationToken cancellation)
    {
        var attachment = new DeviceAttachment(device.Address, options with { ReadOnly = device.Address.Class == DeviceClass.Block ? IsReadOnly(device, options) : null });
        var readOnly = attachment.Options.ReadOnly == true;
        using var claim = services.DeviceLedger.Claim(device.Address);
        CheckFree(services.Store.Current, name, device, readOnly);
        await services.Store.ApplyAsync(c => c.EmitDevice(name, "device-pre-attach", device.Address, attachment.Options, device.DeviceId), CancellationToken.None);
        var open = await _sources.OpenAsync(device, readOnly, cancellation);
        try
        {
            await running.Devices.AttachAsync(attachment, open, cancellation);
            if (await RecordAsync(name, running, attachment, device.DeviceId) && device.Address.Backend != VmName.Dom0)
            {
                services.DeviceLedger.Hold(name, device.Address, open);
                return;
            }
        }
        catch
        {
            open.Dispose();
            throw;
        }
        // QEMU has a descriptor of its own.
        open.Dispose();
    }

    /// <summary>Writes down what is attached; what cannot be written down does not stay.</summary>
    private async Task<bool> RecordAsync(VmName name, IRunningVm running, DeviceAttachment attachment, string deviceId)
    {
        try
        {
            return await services.Store.ApplyAsync(c => c.SetAttached(name, running.Run.StartGuid, attachment, deviceId), CancellationToken.None);
        }
        catch
        {
            await running.Devices.DetachAsync(attachment.Device, CancellationToken.None);
            throw;
        }
    }

    private async Task TakeOutAsync(VmName name, DeviceAttachment attachment)
    {
        await services.Sessions.Get(name).Vm.Devices.DetachAsync(attachment.Device, CancellationToken.None);
        await services.Store.ApplyAsync(c => c.SetDetached(name, attachment.Device), CancellationToken.None);
        services.DeviceLedger.Release(name, attachment.Device);
    }

    private static bool IsReadOnly(DeviceInfo device, DeviceOptions options) => device.ReadOnly && options.ReadOnly == false
        ? throw new MgmtException(ErrorCode.QubesException, "%s can only be attached read-only", device.Address.ToString())
        : device.ReadOnly || options.ReadOnly == true;

    /// <summary>Whoever has a disk has its partitions, and the other way round.</summary>
    private void CheckFree(HostState state, VmName name, DeviceInfo device, bool readOnly)
    {
        if (device.Address.Backend == name)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "%s has its own volumes already", name.Value);
        }
        foreach (var vm in state.Vms.Values)
        {
            foreach (var other in vm.Status.Devices.Values)
            {
                var shared = other.Device == device.Address && vm.Name != name && device.CanBeShared && readOnly && other.Options.ReadOnly == true;
                if (!shared && (IsPartOf(state, other.Device, device.Address) || IsPartOf(state, device.Address, other.Device)))
                {
                    throw new MgmtException(ErrorCode.DeviceAlreadyAttached, "device %s is already attached to %s", other.Device.ToString(), vm.Name.Value);
                }
            }
        }
    }

    private bool IsPartOf(HostState state, DeviceAddress part, DeviceAddress whole)
    {
        DeviceAddress? at = part;
        for (var depth = 0; at is { } address && depth < 8; depth++)
        {
            if (address == whole)
            {
                return true;
            }
            at = _sources.Find(state, address)?.Parent;
        }
        return false;
    }

    private DeviceInfo? Present(DeviceAssignment assignment) =>
        _sources.Find(services.Store.Current, assignment.Device) is { } device && DeviceArgument.Means(assignment.DeviceId, device) ? device : null;

    private static MgmtException Missing(VmName name, DeviceAssignment assignment) =>
        new(ErrorCode.QubesException, "%s needs the %s device %s, which is not there", name.Value, assignment.Device.Class.Name, assignment.Device.ToString());
}
