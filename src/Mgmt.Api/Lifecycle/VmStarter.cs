using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// Starts VMs: volumes made ready, process made, in its scope, virtual processors running. What fails half-way is undone and
/// reported as <c>domain-start-failed</c>.
/// </summary>
public sealed class VmStarter(LifecycleServices services, VmWatcher watcher)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);
    private readonly DeviceOperations _devices = new(services);

    /// <summary>
    /// Starts a halted VM and, before it, the one that gives it its network; returns when its virtual processors run. Anything but
    /// Halted is left as it is. ERRORS: those of the pools and the backend; MgmtUnavailableError in state NA; QubesException for prohibit-start.
    /// </summary>
    public Task StartAsync(VmName name, CancellationToken cancellation) => StartAsync(name, CancellationToken.None, cancellation);

    /// <summary>A start on behalf of another one ends with it (<paramref name="outer"/>).</summary>
    private async Task StartAsync(VmName name, CancellationToken outer, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var vm = services.Vm(name);
        CheckClass(vm);
        if (vm.Status.State != VmState.Halted)
        {
            return;
        }
        var start = services.Sessions.BeginStart(name);
        using var deadline = new CancellationTokenSource(Deadline, services.Clock);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(start.Token, deadline.Token, outer);
        try
        {
            await RunAsync(name, deadline.Token, limit.Token);
        }
        finally
        {
            services.Sessions.EndStart(name, start);
        }
    }

    private static void CheckClass(VmRecord vm)
    {
        if (vm.Class == VmClass.AdminVM)
        {
            throw new MgmtException(ErrorCode.QubesVMNotHaltedError, "Domain is not powered off: '%s'", vm.Name.Value);
        }
        if (vm.Class == VmClass.RemoteVM)
        {
            throw new MgmtException(ErrorCode.QubesException, "%s is on another host and is not started from here", vm.Name.Value);
        }
        if (vm.Status.State == VmState.NA)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The state of %s is unknown: its process does not answer; Kill ends it", vm.Name.Value);
        }
        if (vm.Status.State == VmState.Halted && vm.Features.GetValueOrDefault("prohibit-start") is { Length: > 0 } reason)
        {
            throw new MgmtException(ErrorCode.QubesException, "Qube start is prohibited. Rationale: %s", reason);
        }
    }

    private async Task RunAsync(VmName name, CancellationToken deadline, CancellationToken cancellation)
    {
        var guid = Guid.NewGuid();
        var undo = new UndoStack();
        IRunningVm? running = null;
        try
        {
            await BeginAsync(name, guid);
            await StartNetvmAsync(name, cancellation);
            _devices.RequireAssigned(name);
            var launch = await PrepareAsync(name, guid, undo, cancellation);
            await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-pre-spawn", ("start_guid", Text(guid)))), CancellationToken.None);
            running = await services.Backend.LaunchAsync(launch, cancellation);
            await RecordAsync(name, running, guid);
            await _devices.AttachAssignedAsync(name, running, cancellation);
            await running.ContinueAsync(cancellation);
            await CompleteAsync(name, guid);
            undo.Complete();
            watcher.Watch(name, running);
            Log.Started(services.Log, name, running.Run.Pid);
        }
        catch (Exception error)
        {
            var reported = Reported(name, error, deadline);
            await UndoAsync(name, running, undo, reported.Message);
            throw reported;
        }
    }

    private Task BeginAsync(VmName name, Guid guid)
    {
        var memory = services.Properties.Text(services.Store.Current, services.Vm(name), "memory");
        return services.Store.ApplyAsync(change =>
        {
            change.SetState(name, VmState.Transient);
            change.Emit(MgmtEvent.Of(name, "domain-pre-start", ("start_guid", Text(guid)), ("mem_required", memory)));
        }, CancellationToken.None);
    }

    private async Task StartNetvmAsync(VmName name, CancellationToken cancellation)
    {
        var state = services.Store.Current;
        if (services.Properties.Referent(state, state.Get(name), "netvm") is { Class: not VmClass.AdminVM, Status.State: VmState.Halted or VmState.Transient } netvm)
        {
            // One that is just being started is waited for, by its gate.
            await StartAsync(netvm.Name, cancellation, cancellation);
        }
    }

    private async Task<VmLaunch> PrepareAsync(VmName name, Guid guid, UndoStack undo, CancellationToken cancellation)
    {
        var state = services.Store.Current;
        var vm = state.Get(name);
        var properties = services.Properties;
        var kernel = properties.Text(state, vm, "kernel");
        var disks = ImmutableArray.CreateBuilder<OpenVolume>();
        foreach (var volume in vm.Volumes.Values.Where(v => v.Name != VolumeName.Kernel))
        {
            var pool = services.Pools.Get(volume.Pool);
            var disk = await pool.StartAsync(volume, cancellation);
            disks.Add(disk);
            undo.Push(() =>
            {
                // The files first: a pool puts away only what nobody has open. Closing twice is harmless, the backend closes what it took.
                disk.Dispose();
                return pool.StopAsync(volume, CancellationToken.None);
            });
        }
        return new VmLaunch
        {
            Name = name, Uuid = vm.Uuid, Qid = vm.Qid, StartGuid = guid,
            VirtualProcessors = properties.Int(state, vm, "vcpus"),
            MemoryMiB = properties.Int(state, vm, "memory"),
            VirtMode = properties.Text(state, vm, "virt_mode"),
            Boot = kernel.Length == 0 ? null : services.Pools.Get(PoolSet.KernelPool(state)).OpenKernel(kernel),
            KernelOptions = properties.Text(state, vm, "kernelopts"),
            Disks = disks.ToImmutable(),
            Debug = properties.Bool(state, vm, "debug"),
        };
    }

    private Task RecordAsync(VmName name, IRunningVm running, Guid guid) => services.Store.ApplyAsync(change =>
    {
        var vm = change.State.Get(name);
        // No start time yet: a daemon that finds it so knows that the start was cut off here, and finishes it.
        change.PutVm(vm with { Status = vm.Status with { Run = running.Run with { StartedAt = default } } });
        change.EmitRunResets(name);
        change.Emit(MgmtEvent.Of(name, "domain-spawn", ("start_guid", Text(guid))));
        change.Emit(MgmtEvent.Of(name, "domain-pre-unpaused"));
    }, CancellationToken.None);

    private Task CompleteAsync(VmName name, Guid guid) => services.Store.ApplyAsync(change =>
    {
        change.SetStarted(name);
        change.Emit(MgmtEvent.Of(name, "domain-unpaused"));
        change.Emit(MgmtEvent.Of(name, "domain-start", ("start_guid", Text(guid))));
    }, CancellationToken.None);

    private Task FailedAsync(VmName name, string reason)
    {
        Log.StartFailed(services.Log, name, reason);
        return services.Store.ApplyAsync(change =>
        {
            change.SetAllDetached(name);
            change.SetHalted(name);
            change.Emit(MgmtEvent.Of(name, "domain-start-failed", ("reason", Ascii(reason))));
        }, CancellationToken.None);
    }

    private async Task UndoAsync(VmName name, IRunningVm? running, UndoStack undo, string reason)
    {
        if (running is null || await EndAsync(name, running))
        {
            services.DeviceLedger.Release(name);
            await undo.RunAsync(e => Log.CleanUpFailed(services.Log, name, e));
            await FailedAsync(name, reason);
            return;
        }
        // Nobody has proven it dead: its volumes are not touched, and only Kill goes on from here.
        await services.Store.ApplyAsync(change =>
        {
            var vm = change.State.Get(name);
            change.PutVm(vm with { Status = vm.Status with { State = VmState.NA, Run = running.Run with { StartedAt = change.Now } } });
            change.SetFault(name, VmAdopter.Unreachable, true);
            change.Emit(MgmtEvent.Of(name, "domain-start-failed", ("reason", Ascii(reason))));
        }, CancellationToken.None);
    }

    /// <summary>Ends what a start that failed has launched; false when it could not be proven dead.</summary>
    private async Task<bool> EndAsync(VmName name, IRunningVm running)
    {
        try
        {
            await running.KillAsync(CancellationToken.None);
            return true;
        }
        catch (Exception error)
        {
            Log.CleanUpFailed(services.Log, name, error);
            return false;
        }
        finally
        {
            await running.DisposeAsync();
        }
    }

    private static Exception Reported(VmName name, Exception error, CancellationToken deadline) => error switch
    {
        OperationCanceledException when deadline.IsCancellationRequested => new MgmtException(error, ErrorCode.MgmtTimeoutError, "Start failed: %s took longer than %s s", name.Value,
            Deadline.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture)),
        OperationCanceledException => new MgmtException(error, ErrorCode.MgmtCancelledError, "Start failed: %s was killed while it started", name.Value),
        _ => error,
    };

    internal static string Ascii(string text) => string.Concat(text.Select(c => c is >= ' ' and <= '~' ? c : '_'));

    private static string Text(Guid guid) => guid.ToString("D");
}
