namespace Mgmt.Api;

/// <summary>Tells of the host's devices that come and go, gives those that come to VMs that are to have them, and takes those that went from VMs that had them.</summary>
public sealed class DeviceFollower(LifecycleServices services)
{
    private readonly DeviceOperations _operations = new(services);

    /// <summary>Follows until the token ends. One that fails hides no other.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            await foreach (var change in services.Devices.Changes.ReadAllAsync(cancellation))
            {
                await TryAsync(() => TellAsync(change), change.Device.Address);
                foreach (var name in Concerned(change))
                {
                    await TryAsync(() => change.Added
                        ? _operations.AttachAppearedAsync(name, change.Device.Address, cancellation)
                        : _operations.DetachGoneAsync(name, change.Device.Address, cancellation), change.Device.Address);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon stops.
        }
    }

    private Task TellAsync(DeviceChange change) => services.Store.ApplyAsync(transaction =>
    {
        var address = change.Device.Address;
        transaction.Emit(change.Added
            ? MgmtEvent.Of(address.Backend, $"device-added:{address.Class}", ("device", DeviceChanges.Named(address, change.Device.DeviceId)))
            : MgmtEvent.Of(address.Backend, $"device-removed:{address.Class}", ("port", address.ToString())));
        transaction.EmitListChange(address);
    }, CancellationToken.None);

    private List<VmName> Concerned(DeviceChange change) =>
        [.. services.Store.Current.Vms.Values.Where(vm => change.Added ? vm.Assignments.ContainsKey(change.Device.Address) : vm.Status.Devices.ContainsKey(change.Device.Address)).Select(vm => vm.Name)];

    private async Task TryAsync(Func<Task> act, DeviceAddress device)
    {
        try
        {
            await act();
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            Log.DeviceChangeFailed(services.Log, device, error);
        }
    }
}
