namespace Mgmt.Api;

/// <summary>
/// After a restart: finds the processes of an earlier daemon again, each on its own under a deadline. One that does not answer stays
/// NA, is tried again, and stops nobody else.
/// </summary>
public sealed class VmAdopter(LifecycleServices services, VmWatcher watcher)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);
    internal const string Unreachable = "unreachable";

    private readonly GuestFreeze _freeze = new(services);
    private readonly DeviceOperations _devices = new(services);

    /// <summary>Tries every VM once; those that do not answer go on being tried until the token ends. The returned task is that.</summary>
    public async Task<Task> AdoptAllAsync(CancellationToken cancellation)
    {
        var runs = services.Store.Current.Vms.Values.Where(vm => vm.Status.Run is not null).ToList();
        await ReapAsync([.. runs.Select(vm => vm.Status.Run!)], cancellation);
        var adopted = await Task.WhenAll(runs.Select(async vm => (vm.Name, Done: await TryAdoptAsync(vm.Name, cancellation))));
        await CutOffStarts.TellAsync(services, cancellation);
        return Task.WhenAll(adopted.Where(a => !a.Done).Select(a => KeepTryingAsync(a.Name, cancellation)));
    }

    /// <summary>Strays hold nobody up: what is known is adopted all the same.</summary>
    private async Task ReapAsync(IReadOnlyCollection<VmRun> known, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(Deadline, services.Clock);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            await services.Backend.ReapStraysAsync(known, limit.Token).WaitAsync(limit.Token);
        }
        catch (Exception error) when (!cancellation.IsCancellationRequested)
        {
            Log.ReapFailed(services.Log, error);
        }
    }

    private async Task KeepTryingAsync(VmName name, CancellationToken cancellation)
    {
        var pause = TimeSpan.FromSeconds(1);
        try
        {
            do
            {
                await Task.Delay(pause, services.Clock, cancellation);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
            while (!await TryAdoptAsync(name, cancellation));
        }
        catch (OperationCanceledException)
        {
            // The daemon stops; the next one tries again.
        }
    }

    /// <summary>True when the question is settled: adopted, gone, or ended meanwhile.</summary>
    private async Task<bool> TryAdoptAsync(VmName name, CancellationToken cancellation)
    {
        try
        {
            using var gate = await services.Gates.EnterAsync(name, cancellation);
            return await TryInsideAsync(name, cancellation);
        }
        catch (Exception error) when (!cancellation.IsCancellationRequested)
        {
            Log.NotAdopted(services.Log, name, error.Message);
            await services.Store.ApplyAsync(change => change.SetFault(name, Unreachable, true), CancellationToken.None);
            return false;
        }
    }

    private async Task<bool> TryInsideAsync(VmName name, CancellationToken cancellation)
    {
        if (services.Store.Current.Find(name) is not { Status: { Run: { } run, State: VmState.NA } } vm)
        {
            return true;
        }
        using var deadline = new CancellationTokenSource(Deadline, services.Clock);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        var running = await services.Backend.AdoptAsync(vm, run, limit.Token).WaitAsync(limit.Token);
        if (running is null)
        {
            await watcher.PutAwayAsync(name, null, "unseen");
            return true;
        }
        try
        {
            await TakeAsync(name, running, limit.Token);
            return true;
        }
        catch
        {
            // Let go of it, or the next attempt finds its control socket taken.
            await running.DisposeAsync();
            throw;
        }
    }

    private async Task TakeAsync(VmName name, IRunningVm running, CancellationToken cancellation)
    {
        // A run without a start time was cut off between its launch and the first run of its processors: the start is finished.
        var unfinished = services.Vm(name).Status.Run is { } run && run.StartedAt == default;
        var attached = await running.Devices.ListAsync(cancellation);
        await services.Store.ApplyAsync(change => change.SetDevices(name, attached), CancellationToken.None);
        await _devices.HoldAgainAsync(name, attached, cancellation);
        if (unfinished)
        {
            await _devices.AttachAssignedAsync(name, running, cancellation);
            await running.ContinueAsync(cancellation);
        }
        await services.Store.ApplyAsync(change =>
        {
            change.SetFault(name, Unreachable, false);
            change.SetState(name, running.InitialState);
            if (unfinished)
            {
                change.SetStarted(name);
                change.Emit(MgmtEvent.Of(name, "domain-unpaused"));
                change.Emit(MgmtEvent.Of(name, "domain-start", ("start_guid", running.Run.StartGuid.ToString("D"))));
            }
        }, CancellationToken.None);
        _freeze.Recover(watcher.Watch(name, running));
        Log.Adopted(services.Log, name, running.Run.Pid, running.InitialState);
    }
}
