using System.Collections.Immutable;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Changes of which devices VMs have or are to have, with their events.</summary>
internal static class DeviceChanges
{
    /// <summary>A VM has a device from now on; false when that run of it is over.</summary>
    internal static bool SetAttached(this IStateTransaction change, VmName name, Guid startGuid, DeviceAttachment attachment, string deviceId)
    {
        if (change.State.Find(name) is not { Status.Run: { } run } vm || run.StartGuid != startGuid)
        {
            return false;
        }
        change.PutVm(vm with { Status = vm.Status with { Devices = vm.Status.Devices.SetItem(attachment.Device, attachment) } });
        change.EmitDevice(name, "device-attach", attachment.Device, attachment.Options, deviceId);
        change.EmitListChange(attachment.Device);
        return true;
    }

    /// <summary>A VM has a device no more, if it had it.</summary>
    internal static void SetDetached(this IStateTransaction change, VmName name, DeviceAddress device)
    {
        if (change.State.Find(name) is { } vm && vm.Status.Devices.ContainsKey(device))
        {
            change.PutVm(vm with { Status = vm.Status with { Devices = vm.Status.Devices.Remove(device) } });
            change.Emit(MgmtEvent.Of(name, $"device-detach:{device.Class}", ("port", device.ToString())));
            change.EmitListChange(device);
        }
    }

    /// <summary>What a VM that was adopted has: nothing happened.</summary>
    internal static void SetDevices(this IStateTransaction change, VmName name, IEnumerable<DeviceAttachment> attached)
    {
        if (change.State.Find(name) is { } vm)
        {
            change.PutVm(vm with { Status = vm.Status with { Devices = attached.ToImmutableSortedDictionary(a => a.Device, a => a) } });
        }
    }

    /// <summary>A VM has no devices any more.</summary>
    internal static void SetAllDetached(this IStateTransaction change, VmName name)
    {
        foreach (var device in change.State.Find(name)?.Status.Devices.Keys ?? [])
        {
            change.SetDetached(name, device);
        }
    }

    /// <summary>Replaces an assignment, or takes it out with null.</summary>
    internal static void SetAssignment(this IStateTransaction change, VmRecord vm, DeviceAddress device, DeviceAssignment? assignment) =>
        change.PutVm(vm with { Assignments = assignment is null ? vm.Assignments.Remove(device) : vm.Assignments.SetItem(device, assignment) });

    /// <summary>A VM that is removed: nobody is to have anything of it, nor would a later VM of that name be meant.</summary>
    internal static void RemoveAssignmentsOf(this IStateTransaction change, VmName backend)
    {
        foreach (var vm in change.State.Vms.Values.ToList())
        {
            foreach (var assignment in vm.Assignments.Values.Where(a => a.Device.Backend == backend))
            {
                change.SetAssignment(change.State.Get(vm.Name), assignment.Device, null);
                change.Emit(MgmtEvent.Of(vm.Name, $"device-unassign:{assignment.Device.Class}", ("device", Named(assignment.Device, assignment.DeviceId))));
            }
        }
    }

    /// <summary>An event about a device of a VM, with options.</summary>
    internal static void EmitDevice(this IStateTransaction change, VmName name, string what, DeviceAddress device, DeviceOptions options, string? deviceId = null) =>
        change.Emit(MgmtEvent.Of(name, $"{what}:{device.Class}", ("device", Named(device, deviceId)), ("options", DeviceText.Options(options))));

    internal static void EmitListChange(this IStateTransaction change, DeviceAddress device)
    {
        if (change.State.Find(device.Backend) is not null)
        {
            change.Emit(MgmtEvent.Of(device.Backend, $"device-list-change:{device.Class}"));
        }
    }

    /// <summary><c>BACKEND+PORT:DEVICE_ID</c>.</summary>
    internal static string Named(DeviceAddress device, string? deviceId) => $"{device}:{deviceId ?? "*"}";
}
