using System.Collections.Immutable;
using System.Globalization;

namespace Mgmt.Api;

/// <summary>
/// Disposable VMs for whoever needs one: made from a VM with <c>template_for_dispvms</c>, used, and gone. What ends by itself, or with the daemon, is
/// removed by <see cref="DisposableCleaner"/>.
/// </summary>
public sealed class DisposableVms(LifecycleServices services, VmMaker maker, VmStopper stopper)
{
    private const int LastNumber = 9999;
    private const int Attempts = 16;

    // The numbers go up from a random one and around: what was a name is not soon another's.
    private int _last = Random.Shared.Next(LastNumber);

    /// <summary>
    /// Gives one that was made ahead and is still as one that is made now, running; else makes one, halted. Either is marked with who asked for it (a VM's name, or
    /// <c>dom0</c>). ERRORS: QubesException when <paramref name="from"/> is not for disposables, MgmtBusyError when there is no name left, those of the pools.
    /// </summary>
    public async Task<VmRecord> CreateAsync(VmRecord from, string requester, CancellationToken cancellation)
    {
        Require(from);
        return await TakeAsync(from.Name, requester, cancellation) ?? await MakeAsync(from, requester, isPreload: false, cancellation);
    }

    /// <summary>Makes one ahead of need, halted and listed. ERRORS: as for <see cref="CreateAsync"/>.</summary>
    internal Task<VmRecord> MakeAheadAsync(VmRecord from, CancellationToken cancellation) => MakeAsync(from, "dom0", isPreload: true, cancellation);

    /// <summary>ERRORS: QubesException when it is not for disposables.</summary>
    internal static void Require(VmRecord from)
    {
        if (from.Property("template_for_dispvms") != "True")
        {
            throw new MgmtException(ErrorCode.QubesException, "Refusing to create DispVM out of %s, because template_for_dispvms=False", from.Name.Value);
        }
    }

    /// <summary>Whether one that was made ahead is not what one would be that is made now.</summary>
    internal bool IsOutdated(VmRecord from, VmRecord made) => !VmMaker.IsAsMadeFrom(from, made) || made.Volumes.Values.Where(v => v.SnapOnStart).Any(volume =>
        !from.Volumes.TryGetValue(volume.Name, out var source) || VmBlueprint.Origin(source) != volume.Source || source.SizeBytes != volume.SizeBytes
        || services.Pools.TryGet(volume.Pool)?.IsOutdated(volume) != false);

    /// <summary>One that was made ahead, or null. What cannot go on is no reason to refuse anybody: the next one is tried.</summary>
    private async Task<VmRecord?> TakeAsync(VmName from, string requester, CancellationToken cancellation)
    {
        var state = services.Store.Current;
        var template = state.Get(from);
        foreach (var ready in Preloading.ListOf(template).Select(state.Find).OfType<VmRecord>().Where(vm => Preloading.IsReady(vm) && !IsOutdated(template, vm)))
        {
            if (IsBusy(ready.Name) || !await services.Store.ApplyAsync(change => Preloading.Request(change, ready, requester), CancellationToken.None))
            {
                continue;
            }
            try
            {
                await stopper.UnpauseAsync(ready.Name, cancellation);
                return services.Vm(ready.Name);
            }
            catch (Exception error)
            {
                Log.PreloadLost(services.Log, ready.Name, error.Message);
                await TryEndAsync(ready);
                if (error is not MgmtException)
                {
                    throw;
                }
            }
        }
        return null;
    }

    /// <summary>Whether somebody does something with it just now: nobody need wait for that.</summary>
    private bool IsBusy(VmName name)
    {
        using var gate = services.Gates.TryEnter(name);
        return gate is null;
    }

    /// <summary>One that cannot be ended is logged; the next daemon tries again.</summary>
    internal async Task TryEndAsync(VmRecord disposable)
    {
        try
        {
            await EndAsync(disposable, CancellationToken.None);
        }
        catch (MgmtException error)
        {
            Log.CleanUpFailed(services.Log, disposable.Name, error);
        }
    }

    private async Task<VmRecord> MakeAsync(VmRecord from, string requester, bool isPreload, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            var name = FreeName(services.Store.Current);
            var blueprint = new VmBlueprint(VmClass.DispVM, name, from.Property("label") ?? "red", from.Name.Value, null, ImmutableDictionary<VolumeName, PoolName>.Empty) { AutoCleanup = true, IsPreload = isPreload };
            try
            {
                await maker.CreateAsync(blueprint, requester, null, cancellation);
                return services.Vm(name);
            }
            catch (MgmtException error) when (error.Code == ErrorCode.QubesVMAlreadyExistsError && attempt < Attempts)
            {
                // On to the next number.
            }
        }
    }

    /// <summary>The VM that disposables of a caller are made from. ERRORS: QubesException when there is none.</summary>
    public VmRecord DefaultOf(HostState state, string requester)
    {
        var source = Targets.FindVm(state, requester);
        return (source is null ? null : services.Properties.TryReferent(state, source, "default_dispvm"))
            ?? throw new MgmtException(ErrorCode.QubesException, "%s has no default_dispvm to make a disposable from", requester);
    }

    /// <summary>
    /// Its use is over: ends it by force if it runs, and returns when it is removed, by whomever; nothing happens when it is gone already.
    /// ERRORS: QubesVMInUseError when something names it, MgmtTimeoutError when it could not be proven dead.
    /// </summary>
    public async Task EndAsync(VmRecord disposable, CancellationToken cancellation)
    {
        if (Now(disposable) is not { } vm)
        {
            return;
        }
        try
        {
            await StopAsync(vm, cancellation);
            await maker.RemoveAsync(vm.Name, cancellation);
        }
        catch (MgmtException) when (Now(disposable) is null)
        {
            // Whoever saw its end was quicker.
        }
    }

    private async Task StopAsync(VmRecord vm, CancellationToken cancellation)
    {
        if (vm.Status.State == VmState.Halted)
        {
            return;
        }
        try
        {
            await stopper.KillAsync(vm.Name, cancellation);
        }
        catch (MgmtException error) when (error.Code == ErrorCode.QubesVMNotStartedError)
        {
            // It ended by itself.
        }
    }

    /// <summary>By its UUID: a name may be another's one day.</summary>
    private VmRecord? Now(VmRecord disposable) => services.Store.Current.Find(disposable.Uuid);

    private VmName FreeName(HostState state)
    {
        for (var i = 0; i < LastNumber; i++)
        {
            var number = ((uint)Interlocked.Increment(ref _last) % LastNumber) + 1;
            var name = VmName.Parse(string.Create(CultureInfo.InvariantCulture, $"disp{number}"));
            if (state.Find(name) is null)
            {
                return name;
            }
        }
        throw new MgmtException(ErrorCode.MgmtBusyError, "There are as many disposables as there can be");
    }
}
