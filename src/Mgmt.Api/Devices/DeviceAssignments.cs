namespace Mgmt.Api;

/// <summary>Which devices VMs are to have, whether they run or not. SOURCE: docs/devices.md.</summary>
public sealed class DeviceAssignments(LifecycleServices services)
{
    /// <summary>Assigns a device; it need not be there. ERRORS: QubesVMNotFoundError (backend), DeviceAlreadyAssigned, ProtocolError (its own volume).</summary>
    internal async Task AssignAsync(VmName name, DeviceAssignment assignment, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var device = assignment.Device;
        await services.Store.ApplyAsync(change =>
        {
            var vm = change.State.Get(name);
            if (change.State.Get(device.Backend).Name == name)
            {
                throw new MgmtException(ErrorCode.ProtocolError, "%s has its own volumes already", name.Value);
            }
            if (vm.Assignments.ContainsKey(device))
            {
                throw new MgmtException(ErrorCode.DeviceAlreadyAssigned, "device %s is already assigned to %s", device.ToString(), name.Value);
            }
            change.EmitDevice(name, "device-pre-assign", device, assignment.Options, assignment.DeviceId);
            change.SetAssignment(vm, device, assignment);
            change.EmitDevice(name, "device-assign", device, assignment.Options, assignment.DeviceId);
        }, CancellationToken.None);
    }

    /// <summary>Takes an assignment back; what is attached stays. ERRORS: DeviceNotAssigned; QubesVMNotHaltedError for a required one of a VM that runs.</summary>
    internal async Task UnassignAsync(VmName name, DeviceAddress device, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        await services.Store.ApplyAsync(change =>
        {
            var (vm, assignment) = Find(change.State, name, device);
            if (assignment.Mode == DeviceMode.Required && vm.Status.State != VmState.Halted)
            {
                throw new MgmtException(ErrorCode.QubesVMNotHaltedError, "Can not remove a required assignment from a non-halted qube: '%s'", name.Value);
            }
            change.SetAssignment(vm, device, null);
            change.Emit(MgmtEvent.Of(name, $"device-unassign:{device.Class}", ("device", DeviceChanges.Named(device, assignment.DeviceId))));
        }, CancellationToken.None);
    }

    /// <summary>Gives an assignment another mode. ERRORS: DeviceNotAssigned.</summary>
    internal async Task SetModeAsync(VmName name, DeviceAddress device, DeviceMode mode, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        await services.Store.ApplyAsync(change =>
        {
            var (vm, assignment) = Find(change.State, name, device);
            if (assignment.Mode != mode)
            {
                change.SetAssignment(vm, device, assignment with { Mode = mode });
                change.Emit(MgmtEvent.Of(name, $"device-assignment-changed:{device.Class}", ("device", DeviceChanges.Named(device, assignment.DeviceId))));
            }
        }, CancellationToken.None);
    }

    private static (VmRecord Vm, DeviceAssignment Assignment) Find(HostState state, VmName name, DeviceAddress device)
    {
        var vm = state.Get(name);
        return vm.Assignments.TryGetValue(device, out var assignment)
            ? (vm, assignment)
            : throw new MgmtException(ErrorCode.DeviceNotAssigned, "device %s is not assigned to %s", device.ToString(), name.Value);
    }
}
