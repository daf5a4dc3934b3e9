using System.Text.Json;

namespace Mgmt.Api;

/// <summary>
/// What mgmt.Status says of devices. SHAPE: object with, for each class, <c>available</c> (what the host has to give), <c>attached</c> and <c>assigned</c> (of all VMs), and <c>problems</c>: sentences about
/// devices that cannot be seen, and assigned ones that a VM runs without.
/// </summary>
public sealed class DeviceStatus(LifecycleServices services)
{
    private readonly DeviceSources _sources = new(services);

    /// <summary>Writes the object.</summary>
    public void Write(Utf8JsonWriter json, HostState state)
    {
        json.WriteStartObject();
        foreach (var deviceClass in DeviceClass.All)
        {
            json.WriteStartObject(deviceClass.Name);
            json.WriteNumber("available", services.Devices.Devices.Keys.Count(device => device.Class == deviceClass));
            json.WriteNumber("attached", state.Vms.Values.Sum(vm => vm.Status.Devices.Keys.Count(device => device.Class == deviceClass)));
            json.WriteNumber("assigned", state.Vms.Values.Sum(vm => vm.Assignments.Keys.Count(device => device.Class == deviceClass)));
            json.WriteEndObject();
        }
        json.WriteStartArray("problems");
        foreach (var problem in services.Devices.Problems.Concat(RunningWithout(state)))
        {
            json.WriteStringValue(problem);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private IEnumerable<string> RunningWithout(HostState state) =>
        from vm in state.Vms.Values
        where vm.Status.State is VmState.Running or VmState.Paused or VmState.Suspended
        from assignment in vm.Assignments.Values
        where assignment.Mode != DeviceMode.AskToAttach && !vm.Status.Devices.ContainsKey(assignment.Device)
        select $"{vm.Name} runs without the {assignment.Device.Class.Name} device {assignment.Device} ({assignment.Mode.Wire()}): {Why(state, assignment)}";

    private string Why(HostState state, DeviceAssignment assignment) => _sources.Find(state, assignment.Device) is not { } device
        ? "it is not there"
        : !DeviceArgument.Means(assignment.DeviceId, device)
            ? "another device is there"
            : DeviceSources.Users(state, assignment.Device).ToList() is [var user, ..] ? $"{user} has it" : "it could not be attached, the log says why";
}
