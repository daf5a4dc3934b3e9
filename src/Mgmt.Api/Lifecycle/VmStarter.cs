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

    /// <summary>
    /// Starts a halted VM and, before it, the one that gives it its network; returns when its virtual processors run. Anything but
    /// Halted is left as it is. ERRORS: those of the pools and the backend; MgmtUnavailableError in state NA; QubesException for prohibit-start.
    /// </summary>
    public async Task StartAsync(VmName name, CancellationToken cancellation)
    {
        using var gate = await services.Gates.EnterAsync(name, cancellation);
        var vm = services.Vm(name);
        CheckClass(vm);
        if (vm.Status.State != VmState.Halted)
        {
            return;
        }
        var start = services.Sessions.BeginStart(name);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(start.Token);
        limit.CancelAfter(Deadline);
        try
        {
            await RunAsync(name, limit.Token);
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

    private async Task RunAsync(VmName name, CancellationToken cancellation)
    {
        var guid = Guid.NewGuid();
        var undo = new UndoStack();
        try
        {
            await BeginAsync(name, guid);
            await StartNetvmAsync(name, cancellation);
            var launch = await PrepareAsync(name, guid, undo, cancellation);
            await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-pre-spawn", ("start_guid", Text(guid)))), CancellationToken.None);
            var running = await services.Backend.LaunchAsync(launch, cancellation);
            undo.Push(() => EndAsync(running));
            await RecordAsync(name, running, guid);
            await running.ContinueAsync(cancellation);
            await CompleteAsync(name, guid);
            undo.Complete();
            watcher.Watch(name, running);
            Log.Started(services.Log, name, running.Run.Pid);
        }
        catch (Exception error)
        {
            var reported = Reported(name, error);
            await undo.RunAsync(e => Log.CleanUpFailed(services.Log, name, e));
            await FailedAsync(name, reported.Message);
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
        if (services.Properties.Referent(state, state.Get(name), "netvm") is { Class: not VmClass.AdminVM } netvm && netvm.Status.State == VmState.Halted)
        {
            await StartAsync(netvm.Name, cancellation);
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
        change.Emit(MgmtEvent.Of(name, "property-reset:start_time", ("name", "start_time")));
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
            change.SetHalted(name);
            change.Emit(MgmtEvent.Of(name, "domain-start-failed", ("reason", Ascii(reason))));
        }, CancellationToken.None);
    }

    private static async Task EndAsync(IRunningVm running)
    {
        await running.KillAsync(CancellationToken.None);
        await running.DisposeAsync();
    }

    private static Exception Reported(VmName name, Exception error) => error switch
    {
        OperationCanceledException => new MgmtException(error, ErrorCode.MgmtCancelledError, "Start failed: %s was killed while it started, or took longer than %s s", name.Value,
            Deadline.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture)),
        _ => error,
    };

    internal static string Ascii(string text) => string.Concat(text.Select(c => c is >= ' ' and <= '~' ? c : '_'));

    private static string Text(Guid guid) => guid.ToString("D");
}
