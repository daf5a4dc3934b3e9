using Mgmt.Api;
using Mgmt.Core;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>What happens once the socket answers: adoption of running VMs, removal of half-made volumes, then autostart, and beside it the mending of pools; at last disposables that are made ahead.</summary>
internal sealed class Startup(VmAdopter adopter, UnfinishedVolumes unfinished, PoolMending mending, Autostarter autostarter, DisposablePreloader preloader, VmStarter starter, IReadOnlyList<VmName> startedAtFirst, bool isNew, ILogger<Startup> log)
{
    internal async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            var stillTrying = await adopter.AdoptAllAsync(cancellation);
            await unfinished.RemoveLeftoversAsync(cancellation);
            // A pool that is slow keeps no VM from starting.
            var mended = mending.MendAllAsync(cancellation);
            foreach (var name in isNew ? startedAtFirst : [])
            {
                await TryStartAsync(name, cancellation);
            }
            await autostarter.RunAsync(cancellation);
            await Task.WhenAll(stillTrying, mended, preloader.RunAsync(cancellation));
        }
        catch (OperationCanceledException)
        {
            // The daemon stops while it starts.
        }
        catch (MgmtException error)
        {
            Log.StartupFailed(log, error);
        }
    }

    /// <summary>One that fails stops no other.</summary>
    private async Task TryStartAsync(VmName name, CancellationToken cancellation)
    {
        try
        {
            await starter.StartAsync(name, cancellation);
        }
        catch (MgmtException error)
        {
            Log.StartupFailed(log, error);
        }
    }
}
