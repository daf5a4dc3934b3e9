using System.Collections.Immutable;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Mgmt.Api;

/// <summary>
/// Compares what systemd-machined says with what we know, each time it is back, a VM was started or adopted, and now and then: VMs that are no machines become ones, pools of images are opened, and what
/// cannot be put right is said in Status. Nothing waits for it: a start places its own VM, and Kill needs no machined. SOURCE: docs/machines.md, "When machined is gone".
/// </summary>
public sealed class MachinedRepair(LifecycleServices services, IMachineRegistry registry, IHostMachines machines, ILogger<MachinedRepair> log)
{
    private const string Fault = "machined";
    private const string Registrar = "mgmtd";
    private readonly Channel<bool> _began = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private ImmutableArray<string> _disagreements = [];

    /// <summary>How often it is compared without an occasion.</summary>
    public TimeSpan Every { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>What is not as it should be and was not put right: sentences, from the last comparison.</summary>
    public IReadOnlyList<string> Disagreements => _disagreements;

    /// <summary>Runs until the token ends.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        services.Sessions.Began += Note;
        try
        {
            while (true)
            {
                if (registry.Status.State == "ok")
                {
                    await TryCompareAsync(cancellation);
                }
                await OccasionAsync(cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon stops.
        }
        finally
        {
            services.Sessions.Began -= Note;
        }
    }

    private void Note(VmSession session) => _began.Writer.TryWrite(true);

    private async Task OccasionAsync(CancellationToken cancellation)
    {
        using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var changed = registry.StatusChanges.WaitToReadAsync(wait.Token).AsTask();
        var added = _began.Reader.WaitToReadAsync(wait.Token).AsTask();
        var due = Task.Delay(Every, services.Clock, wait.Token);
        await Task.WhenAny(changed, added, due);
        cancellation.ThrowIfCancellationRequested();
        _began.Reader.TryRead(out _);
        if (changed.IsCompletedSuccessfully)
        {
            if (!await changed)
            {
                await Task.WhenAny(added, due); // the registry tells no more
            }
            registry.StatusChanges.TryRead(out _);
        }
        await wait.CancelAsync();
    }

    private async Task TryCompareAsync(CancellationToken cancellation)
    {
        try
        {
            await CompareAsync(cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            Log.LoopFailed(log, "comparison with systemd-machined", error);
        }
    }

    private async Task CompareAsync(CancellationToken cancellation)
    {
        var said = ImmutableArray.CreateBuilder<string>();
        foreach (var session in services.Sessions.All)
        {
            if (registry.Status.State != "ok")
            {
                return; // it went away again, and each question would wait for it
            }
            if (await PlaceAgainAsync(session, cancellation) is { } why)
            {
                said.Add(why);
            }
        }
        said.AddRange(await StaleAsync(cancellation));
        foreach (var record in services.Store.Current.Pools.Values.Where(record => record.Driver == Fault))
        {
            await services.Pools.ReopenAsync(record, () => services.Store.Current.Pools.ContainsKey(record.Name), cancellation);
        }
        _disagreements = said.ToImmutable();
    }

    /// <summary>Null when the VM is in its machine, maybe only now; else why not.</summary>
    private async Task<string?> PlaceAgainAsync(VmSession session, CancellationToken cancellation)
    {
        if (services.Store.Current.Find(session.Name) is not { Status.Run: { } run } vm || session.HasEnded || session.Vm.Exited.IsCompleted)
        {
            return null;
        }
        var owns = run.Machine.Length > 0 ? await registry.OwnsAsync(run.Machine, vm.Uuid, run.Pid, cancellation) : false;
        if (owns is null)
        {
            return null; // not there any more: that is its status
        }
        if (owns == true)
        {
            await NoteAsync(session, run, run.Machine, isMachine: true);
            return null;
        }
        var scope = await registry.PlaceAsync(new MachineRequest(vm.Qid, vm.Name, vm.Uuid, run.Pid), cancellation);
        var isMachine = scope is { Kind: MachineScopeKind.Machine, Degraded: null };
        await NoteAsync(session, run, scope.Kind == MachineScopeKind.None ? run.Machine : scope.Name, isMachine);
        return isMachine ? null : $"VM {vm.Name} is in no machine of its own: {scope.Degraded}";
    }

    private Task NoteAsync(VmSession session, VmRun run, string machine, bool isMachine) => services.Store.ApplyAsync(change =>
    {
        if (session.HasEnded || change.State.Find(session.Name) is not { Status.Run: { } now } vm || now.StartGuid != run.StartGuid)
        {
            return;
        }
        if (now.Machine != machine)
        {
            change.PutVm(vm with { Status = vm.Status with { Run = now with { Machine = machine } } });
        }
        change.SetFault(session.Name, Fault, !isMachine);
    }, CancellationToken.None);

    /// <summary>Machines that call themselves ours and are no VM that runs. They are left alone: Kill of the machine ends one.</summary>
    private async Task<List<string>> StaleAsync(CancellationToken cancellation)
    {
        var stale = new List<string>();
        foreach (var machine in await machines.ListAsync(cancellation))
        {
            if (machine.Service == Registrar && !services.Sessions.All.Any(session => services.Store.Current.Find(session.Name)?.Status.Run?.Machine == machine.Name.Value)
                && services.Store.Current.Vms.Values.All(vm => vm.Status.Run is null || HostMachineName.ForVm(vm.Qid, vm.Name) != machine.Name))
            {
                stale.Add($"machine {machine.Name} was registered by mgmtd and is no VM that runs");
            }
        }
        return stale;
    }
}
