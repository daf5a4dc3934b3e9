namespace Mgmt.Api;

/// <summary>Asks VMs to shut down, pauses them, lets them go on, and ends them by force.</summary>
public sealed class VmStopper(LifecycleServices services, VmWatcher watcher)
{
    private static readonly TimeSpan KillDeadline = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Asks a VM to shut down: its guest agent, then the power button. Replies when asked; with <paramref name="wait"/> when it is down.
    /// <paramref name="force"/> also asks VMs that others get their network from, and paused ones, which go on for it.
    /// ERRORS: QubesVMNotStartedError, QubesVMNotRunningError (paused), QubesVMInUseError, QubesVMShutdownTimeoutError (wait).
    /// </summary>
    public async Task ShutdownAsync(VmName name, bool wait, bool force, CancellationToken cancellation)
    {
        ShutdownOperation operation;
        using (await services.Gates.EnterAsync(name, cancellation))
        {
            operation = await BeginShutdownAsync(name, force);
        }
        if (wait && !await operation.Result.WaitAsync(cancellation))
        {
            throw new MgmtException(ErrorCode.QubesVMShutdownTimeoutError, "Domain shutdown timed out: '%s'", name.Value);
        }
    }

    /// <summary>Stops the virtual processors. ERRORS: QubesVMNotStartedError, QubesVMNotRunningError.</summary>
    public async Task PauseAsync(VmName name, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        Require(services.Vm(name), VmState.Running, ErrorCode.QubesVMNotRunningError, "Domain not running (either powered off or paused): '%s'");
        var session = services.Sessions.Get(name);
        await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-pre-paused")), CancellationToken.None);
        await session.Vm.PauseAsync(CancellationToken.None);
        await ChangeAsync(session, VmState.Paused, "domain-paused");
    }

    /// <summary>Lets the virtual processors run again. ERRORS: QubesVMNotStartedError, QubesVMNotPausedError.</summary>
    public async Task UnpauseAsync(VmName name, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        Require(services.Vm(name), VmState.Paused, ErrorCode.QubesVMNotPausedError, "Domain is not paused: '%s'");
        await ContinueAsync(name, services.Sessions.Get(name));
    }

    /// <summary>
    /// Ends a VM by force and returns when its end was handled. Waits for no other operation: a start under way is cut off.
    /// ERRORS: QubesVMNotStartedError, MgmtTimeoutError.
    /// </summary>
    public async Task KillAsync(VmName name, CancellationToken cancellation)
    {
        var vm = services.Vm(name);
        if (vm.Class == VmClass.AdminVM || (vm.Status.State == VmState.Halted && services.Sessions.Find(name) is null))
        {
            throw NotStarted(name);
        }
        try
        {
            await EndAsync(name).WaitAsync(KillDeadline, services.Clock, cancellation);
        }
        catch (TimeoutException error)
        {
            throw new MgmtException(error, ErrorCode.MgmtTimeoutError, "%s could not be proven dead within %s s", name.Value, KillDeadline.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    private async Task EndAsync(VmName name)
    {
        if (services.Sessions.FindStart(name) is { } start)
        {
            start.Cancel();
            await start.Done;
        }
        // A start that was past cutting off has made a session by now.
        if (services.Sessions.Find(name) is null && services.Store.Current.Find(name)?.Status.Run is { } run)
        {
            await services.Backend.KillAsync(run, CancellationToken.None);
            await PutAwayAsync(name, run);
        }
        if (services.Sessions.Find(name) is { } session)
        {
            session.EndIsWanted = true;
            await session.Vm.KillAsync(CancellationToken.None);
            await session.Handled;
        }
    }

    /// <summary>Puts away a VM that is dead and has no session, unless whoever was just adopting or killing it does, or did.</summary>
    private async Task PutAwayAsync(VmName name, VmRun run)
    {
        using var gate = await services.Gates.EnterAsync(name, CancellationToken.None);
        if (services.Sessions.Find(name) is null && services.Store.Current.Find(name)?.Status.Run?.StartGuid == run.StartGuid)
        {
            await watcher.PutAwayAsync(name, null, null);
        }
    }

    private async Task<ShutdownOperation> BeginShutdownAsync(VmName name, bool force)
    {
        var vm = services.Vm(name);
        if (vm.Status.State == VmState.Paused && !force)
        {
            throw new MgmtException(ErrorCode.QubesVMNotRunningError, "Domain not running (either powered off or paused): '%s'", name.Value);
        }
        if (vm.Class == VmClass.AdminVM || vm.Status.State is VmState.Halted or VmState.Crashed)
        {
            throw NotStarted(name);
        }
        var session = services.Sessions.Get(name);
        if (session.Shutdown is { Result.IsCompleted: false } already)
        {
            return already;
        }
        if (!force && services.Store.Current.Vms.Values.FirstOrDefault(other => other.Status.State is not VmState.Halted and not VmState.NA
                && other.Class is not (VmClass.AdminVM or VmClass.RemoteVM) && services.Properties.Text(services.Store.Current, other, "netvm") == name.Value) is { } user)
        {
            throw new MgmtException(ErrorCode.QubesVMInUseError, "Domain is in use: '%s' gives %s its network; force shuts it down all the same", name.Value, user.Name.Value);
        }
        var timeout = TimeSpan.FromSeconds(services.Properties.Int(services.Store.Current, vm, "shutdown_timeout"));
        if (session.HasEnded)
        {
            throw NotStarted(name);
        }
        await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-pre-shutdown", ("force", Parse.Text(force)))), CancellationToken.None);
        if (vm.Status.State == VmState.Paused)
        {
            await ContinueAsync(name, session);
        }
        await services.Store.ApplyAsync(change => change.SetState(session, VmState.Halting), CancellationToken.None);
        return session.Shutdown = new ShutdownOperation(services, session, timeout);
    }

    private async Task ContinueAsync(VmName name, VmSession session)
    {
        await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-pre-unpaused")), CancellationToken.None);
        var stops = session.OwnStops;
        await session.Vm.ContinueAsync(CancellationToken.None);
        var changed = await services.Store.ApplyAsync(change =>
        {
            if (session.HasEnded)
            {
                return false;
            }
            // What stopped again at once, as with a disk that is still full, and is told so already, does not run.
            if (session.OwnStops == stops)
            {
                change.SetRunsAgain(name);
                change.Emit(MgmtEvent.Of(name, "domain-unpaused"));
            }
            return true;
        }, CancellationToken.None);
        if (!changed)
        {
            throw NotStarted(name);
        }
    }

    /// <summary>ERRORS: QubesVMNotStartedError when it ended meanwhile: then its end says what its state is.</summary>
    private async Task ChangeAsync(VmSession session, VmState state, string happened)
    {
        var changed = await services.Store.ApplyAsync(change =>
        {
            if (!change.SetState(session, state))
            {
                return false;
            }
            change.Emit(MgmtEvent.Of(session.Name, happened));
            return true;
        }, CancellationToken.None);
        if (!changed)
        {
            throw NotStarted(session.Name);
        }
    }

    private static void Require(VmRecord vm, VmState state, ErrorCode otherwise, string template)
    {
        if (vm.Class == VmClass.AdminVM || vm.Status.State is VmState.Halted)
        {
            throw vm.Class == VmClass.AdminVM ? new MgmtException(otherwise, template, vm.Name.Value) : NotStarted(vm.Name);
        }
        if (vm.Status.State != state)
        {
            throw new MgmtException(otherwise, template, vm.Name.Value);
        }
    }

    private static MgmtException NotStarted(VmName name) => new(ErrorCode.QubesVMNotStartedError, "Domain is powered off: '%s'", name.Value);
}
