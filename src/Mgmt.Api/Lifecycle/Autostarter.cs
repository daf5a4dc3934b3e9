using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>Starts the VMs with autostart=True with the daemon: side by side, each after the one that gives it its network.</summary>
public sealed class Autostarter(LifecycleServices services, VmStarter starter)
{
    private const int AtOnce = 4;

    /// <summary>Starts them; one that fails is logged and stops no other.</summary>
    public Task RunAsync(CancellationToken cancellation)
    {
        var state = services.Store.Current;
        var due = state.Vms.Values.Where(vm => vm.Status.State == VmState.Halted && vm.Property("autostart") == "True" && !DisposableCleaner.IsOver(vm)).Select(vm => vm.Name);
        // Whoever is first also starts its netvm; the netvm's gate makes the others wait for it.
        return Parallel.ForEachAsync(due, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (name, token) =>
        {
            try
            {
                await starter.StartAsync(name, token);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                Log.AutostartFailed(services.Log, name, error.Message);
            }
        });
    }
}
