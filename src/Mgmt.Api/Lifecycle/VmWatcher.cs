using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Follows what running VMs do by themselves: agents that come and go, guests that power off, processes that die.</summary>
public sealed class VmWatcher(LifecycleServices services)
{
    /// <summary>Begins to follow a VM. Its signals tell what its agent is, also after an adoption.</summary>
    public VmSession Watch(VmName name, IRunningVm vm)
    {
        var session = new VmSession(name, vm);
        services.Sessions.Add(session);
        session.Pump = Task.Run(() => FollowAsync(session));
        return session;
    }

    private async Task FollowAsync(VmSession session)
    {
        try
        {
            await TryAsync(session, () => services.Store.ApplyAsync(change =>
            {
                foreach (var fault in session.Vm.Faults)
                {
                    change.SetFault(session.Name, fault, true);
                }
            }, CancellationToken.None));
            VmExit? exit = null;
            while (exit is null && await session.Vm.Signals.WaitToReadAsync(CancellationToken.None))
            {
                while (exit is null && session.Vm.Signals.TryRead(out var signal))
                {
                    exit = (signal as VmSignal.Exited)?.Exit;
                    await TryAsync(session, () => HandleAsync(session, signal));
                }
            }
            await EndedAsync(session, exit ?? await session.Vm.Exited);
        }
        catch (Exception error)
        {
            // The store is dead or we are wrong. Kill, which finds the process by its run, puts the VM away.
            Log.PumpFailed(services.Log, session.Name, error);
            services.Sessions.Remove(session);
            session.MarkFailed(error);
        }
    }

    /// <summary>A signal that cannot be told (no space in the store, say) must not hide those after it, the end above all.</summary>
    private async Task TryAsync(VmSession session, Func<Task> handle)
    {
        try
        {
            await handle();
        }
        catch (Exception error)
        {
            Log.PumpFailed(services.Log, session.Name, error);
        }
    }

    private Task HandleAsync(VmSession session, VmSignal signal) => signal switch
    {
        VmSignal.AgentChanged agent => services.Store.ApplyAsync(change => change.SetAgent(session.Name, agent.State), CancellationToken.None),
        VmSignal.FaultChanged fault => services.Store.ApplyAsync(change => change.SetFault(session.Name, fault.Fault, fault.Set), CancellationToken.None),
        VmSignal.Stopped stopped => services.Store.ApplyAsync(change => StoppedByItself(change, session, stopped.Reason), CancellationToken.None),
        VmSignal.Resumed => services.Store.ApplyAsync(change => RunsAgain(change, session.Name, "domain-unpaused"), CancellationToken.None),
        VmSignal.SuspendedByGuest => services.Store.ApplyAsync(change =>
        {
            change.SetState(session.Name, VmState.Suspended);
            change.SetAgent(session.Name, AgentState.Suspended);
        }, CancellationToken.None),
        VmSignal.WokenUp => services.Store.ApplyAsync(change => RunsAgain(change, session.Name, "domain-resumed"), CancellationToken.None),
        VmSignal.DeviceGone gone => DeviceGoneAsync(session.Name, gone.Device),
        VmSignal.GuestShutdown => services.Store.ApplyAsync(change => change.SetState(session.Name, VmState.Halting), CancellationToken.None),
        _ => Task.CompletedTask,
    };

    private async Task DeviceGoneAsync(VmName name, DeviceAddress device)
    {
        await services.Store.ApplyAsync(change => change.SetDetached(name, device), CancellationToken.None);
        services.DeviceLedger.Release(name, device);
    }

    private static void StoppedByItself(IStateTransaction change, VmSession session, string reason)
    {
        var name = session.Name;
        session.OwnStops++;
        change.SetState(name, VmState.Paused);
        if (reason != "outside")
        {
            change.SetFault(name, reason, true);
        }
        change.Emit(MgmtEvent.Of(name, "domain-paused"));
    }

    private static void RunsAgain(IStateTransaction change, VmName name, string happened)
    {
        change.SetRunsAgain(name);
        change.Emit(MgmtEvent.Of(name, happened));
    }

    private async Task EndedAsync(VmSession session, VmExit exit)
    {
        var crashed = exit.Crashed && !session.EndIsWanted;
        if (crashed)
        {
            Log.Crashed(services.Log, session.Name, exit.Reason);
        }
        else
        {
            Log.Ended(services.Log, session.Name, exit.Reason);
        }
        session.HasEnded = true;
        await PutAwayAsync(session.Name, crashed ? exit.Reason : null, null);
        // Not before: who finds no session takes the VM for one that nobody puts away.
        services.Sessions.Remove(session);
        session.MarkHandled();
        await session.Vm.DisposeAsync();
    }

    /// <summary>
    /// What follows the end of a VM's process: volumes put away, state Halted, events. <paramref name="crash"/> says why when nobody
    /// asked for it, <paramref name="shutdownReason"/> is <c>unseen</c> for an end that no daemon saw.
    /// </summary>
    internal async Task PutAwayAsync(VmName name, string? crash, string? shutdownReason)
    {
        services.DeviceLedger.Release(name);
        await services.Store.ApplyAsync(change =>
        {
            change.SetAllDetached(name);
            change.SetState(name, crash is null ? VmState.Halting : VmState.Crashed);
            change.SetAgent(name, AgentState.Absent);
            if (crash is not null)
            {
                change.Emit(MgmtEvent.Of(name, "domain-crashed", ("reason", VmStarter.Ascii(crash))));
            }
            change.Emit(MgmtEvent.Of(name, "domain-stopped"));
        }, CancellationToken.None);
        await StopVolumesAsync(name);
        await services.Store.ApplyAsync(change =>
        {
            change.SetHalted(name);
            change.EmitRunResets(name);
            change.Emit(shutdownReason is null ? MgmtEvent.Of(name, "domain-shutdown") : MgmtEvent.Of(name, "domain-shutdown", ("reason", shutdownReason)));
        }, CancellationToken.None);
    }

    private async Task StopVolumesAsync(VmName name)
    {
        foreach (var volume in services.Store.Current.Find(name)?.Volumes.Values.Where(v => v.Name != VolumeName.Kernel) ?? [])
        {
            try
            {
                await services.Pools.Get(volume.Pool).StopAsync(volume, CancellationToken.None);
            }
            catch (Exception error)
            {
                Log.CleanUpFailed(services.Log, name, error);
            }
        }
    }
}
