using System.Collections.Concurrent;
using System.Threading.Channels;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// Keeps as many disposables ready, booted and paused, as the templates' features <c>preload-dispvm-max</c> say: compares what is there with what is wanted whenever
/// something changes that may matter, ends what is too much or outdated, and makes what is missing, one at a time. SOURCE: docs/lifecycle.md, "Disposables that are made ahead".
/// </summary>
public sealed class DisposablePreloader
{
    private readonly LifecycleServices _services;
    private readonly DisposableVms _disposables;
    private readonly VmMaker _maker;
    private readonly VmStarter _starter;
    private readonly VmStopper _stopper;
    private readonly Func<long> _availableMiB;

    // Those that the end of an earlier daemon cut off while they were made or handed out.
    private readonly List<VmRecord> _interrupted;
    // Held by whoever makes or ends any.
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private volatile string _reason = "the daemon started";
    // When the next one of a template may be made. Used by the loop alone.
    private readonly Dictionary<VmName, DateTimeOffset> _notBefore = [];
    // Templates that one was used of since the loop looked.
    private readonly ConcurrentDictionary<VmName, byte> _used = new();

    /// <summary>To be made before callers are served; <paramref name="availableMiB"/> is the host's memory that is free for more VMs.</summary>
    public DisposablePreloader(LifecycleServices services, DisposableVms disposables, VmMaker maker, VmStarter starter, VmStopper stopper, Func<long> availableMiB)
    {
        (_services, _disposables, _maker, _starter, _stopper, _availableMiB) = (services, disposables, maker, starter, stopper, availableMiB);
        _interrupted = [.. services.Store.Current.Vms.Values.Where(Preloading.IsInProgress)];
    }

    /// <summary>Works until the token ends. To be begun when the VMs of an earlier daemon were looked for.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var subscription = _services.Store.Journal.Subscribe(Look);
        try
        {
            await InTurnAsync(async () =>
            {
                await EndAsync(_interrupted, Preloading.Drop, "an earlier daemon ended while it was made or handed out");
                return true;
            }, cancellation);
            while (true)
            {
                foreach (var template in Templates().ToList())
                {
                    await TryPassAsync(template.Name, cancellation);
                }
                await WaitAsync(cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon stops; the next one goes on.
        }
    }

    /// <summary>
    /// Makes as many as a template is to have, and returns when they are ready. ERRORS: QubesException when it is not for disposables, those of making and starting VMs.
    /// </summary>
    public Task FillAsync(VmRecord template, CancellationToken cancellation)
    {
        DisposableVms.Require(template);
        return PassAsync(template.Name, "autostart was requested", cancellation);
    }

    /// <summary>Removes a VM and, before it, the disposables that were made ahead from it, unless it cannot be removed anyway. ERRORS: as for <see cref="VmMaker.RemoveAsync"/>.</summary>
    public async Task RemoveAsync(VmName name, CancellationToken cancellation)
    {
        if (!Templates().Any(template => template.Name == name))
        {
            await _maker.RemoveAsync(name, cancellation);
            return;
        }
        await InTurnAsync(async () =>
        {
            var state = _services.Store.Current;
            if (state.Find(name) is { Status.State: VmState.Halted } template && VmMaker.UserOf(state, template, apartFromPreloads: true) is null)
            {
                await EndAsync(Preloading.ListOf(template).Select(state.Find).OfType<VmRecord>(), Preloading.Unlist, "what it is made from is removed");
            }
            await _maker.RemoveAsync(name, cancellation);
            return true;
        }, cancellation);
    }

    /// <summary>The VMs that have some, or are to have some.</summary>
    private IEnumerable<VmRecord> Templates()
    {
        var state = _services.Store.Current;
        return state.Vms.Values.Where(vm => IsTemplate(state, vm));
    }

    private static bool IsTemplate(HostState state, VmRecord vm) => !Preloading.ListOf(vm).IsEmpty || Preloading.Wanted(state, vm) > 0;

    private async Task<bool> InTurnAsync(Func<Task<bool>> work, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            return await work();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Runs on the store's writer: remembers and never waits.</summary>
    private void Look(IReadOnlyList<JournalEntry> committed)
    {
        foreach (var happened in committed.Select(entry => entry.Event))
        {
            if (happened.Name == "domain-preload-dispvm-used")
            {
                _used[VmName.Parse(happened.Subject)] = 0;
            }
            if (ReasonOf(happened) is { } reason)
            {
                _reason = reason;
                _wake.Writer.TryWrite(true);
            }
        }
    }

    /// <summary>Why it may matter, or null: what making one causes must not, or one that cannot be made would be tried for ever.</summary>
    private string? ReasonOf(MgmtEvent happened)
    {
        var reason = happened.Name.Split(':')[0] switch
        {
            "domain-preload-dispvm-used" => "one was used",
            "domain-feature-set" or "domain-feature-delete" when !Preloading.OwnFeatures.Contains(happened["feature"] ?? "") => "a feature was changed",
            "domain-tag-add" or "domain-tag-delete" => "a tag was changed",
            "property-set" or "property-reset" when !LifecycleChanges.RunProperties.Contains(happened["name"] ?? "") => "a property was changed",
            "domain-shutdown" => "a qube was shut down",
            "volume-revert" or "volume-resize" or "volume-import" or "volume-clone" or "domain-volume-import-end" or "domain-import-volume" => "a volume was changed",
            _ => null,
        };
        return reason is not null && Concerns(happened) ? reason : null;
    }

    /// <summary>It is about the host, or a VM that some are made from, or that one's template; or one that was ready has ended.</summary>
    private bool Concerns(MgmtEvent happened)
    {
        var state = _services.Store.Current;
        return happened.Subject.Length == 0 || (state.Find(VmName.Parse(happened.Subject)) is { } vm && vm.Class switch
        {
            VmClass.AdminVM or VmClass.TemplateVM => true,
            VmClass.DispVM => happened.Name == "domain-shutdown" && vm.Features.ContainsKey(Preloading.Completed),
            _ => IsTemplate(state, vm),
        });
    }

    /// <summary>Until something happened, or the next one may be made.</summary>
    private async Task WaitAsync(CancellationToken cancellation)
    {
        var pause = _notBefore.Count == 0 ? Timeout.InfiniteTimeSpan : _notBefore.Values.Min() - _services.Clock.GetUtcNow();
        using var timer = new CancellationTokenSource(_notBefore.Count > 0 && pause < TimeSpan.Zero ? TimeSpan.Zero : pause, _services.Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            await _wake.Reader.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // It is time.
        }
        _wake.Reader.TryRead(out _);
        NoteUsed();
    }

    private void NoteUsed()
    {
        foreach (var name in _used.Keys)
        {
            _used.TryRemove(name, out _);
            if (_services.Store.Current.Find(name) is { } template)
            {
                _notBefore[name] = _services.Clock.GetUtcNow() + Preloading.DelayOf(_services.Store.Current, template);
            }
        }
    }

    /// <summary>One that fails is logged, holds nobody up, and is tried again when something changes.</summary>
    private async Task TryPassAsync(VmName template, CancellationToken cancellation)
    {
        if (_notBefore.TryGetValue(template, out var time) && _services.Clock.GetUtcNow() < time)
        {
            return;
        }
        _notBefore.Remove(template);
        try
        {
            await PassAsync(template, _reason, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellation.IsCancellationRequested)
        {
            Log.PreloadFailed(_services.Log, template, error.Message);
        }
    }

    private async Task PassAsync(VmName name, string reason, CancellationToken cancellation)
    {
        // A turn for each: who removes the template waits for one that boots, and not for all.
        for (var isFirst = true; await InTurnAsync(() => StepAsync(name, isFirst ? reason : null, cancellation), cancellation); isFirst = false)
        {
        }
    }

    /// <summary>Ends what is unwanted and makes one that is missing; false when none is. The reason is told, if there is one.</summary>
    private async Task<bool> StepAsync(VmName name, string? reason, CancellationToken cancellation)
    {
        await EndUnwantedAsync(name);
        if (Missing(name) is not { } template)
        {
            return false;
        }
        if (reason is not null)
        {
            await _services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-preload-dispvm-start", ("reason", reason))), CancellationToken.None);
        }
        await MakeAsync(template, cancellation);
        return true;
    }

    private async Task EndUnwantedAsync(VmName name)
    {
        var state = _services.Store.Current;
        if (state.Find(name) is not { } template)
        {
            return;
        }
        var kept = Preloading.ListOf(template).Select(state.Find).OfType<VmRecord>().ToLookup(vm => !IsOver(vm) && !_disposables.IsOutdated(template, vm));
        await EndAsync(kept[false], Preloading.Unlist, "it ended, or is not what one would be that is made now");
        await EndAsync(kept[true].Skip(Preloading.Wanted(state, template)), Preloading.Unlist, "there are more than are wanted");
    }

    /// <summary>Of one that was ready: it cannot be handed out any more. In NA it may become what it was.</summary>
    private static bool IsOver(VmRecord vm) => vm.Status.State is not (VmState.Paused or VmState.NA);

    /// <summary>The template, when it lacks one and the host has memory for it.</summary>
    private VmRecord? Missing(VmName name)
    {
        var state = _services.Store.Current;
        if (state.Find(name) is not { } template || Preloading.ListOf(template).Count(made => state.Find(made) is not null) >= Preloading.Wanted(state, template))
        {
            return null;
        }
        if (_availableMiB() - Preloading.ThresholdMiB(state) >= _services.Properties.Int(state, template, "memory"))
        {
            return template;
        }
        Log.PreloadFailed(_services.Log, name, "the host has too little memory left");
        return null;
    }

    /// <summary>Makes one, has it boot and pauses it. Somebody may begin to use it meanwhile: then it is theirs.</summary>
    private async Task MakeAsync(VmRecord template, CancellationToken cancellation)
    {
        var made = await _disposables.MakeAheadAsync(template, cancellation);
        try
        {
            await _starter.StartAsync(made.Name, cancellation);
            await BootedAsync(made, cancellation);
            await _stopper.PauseAsync(made.Name, cancellation);
            await _services.Store.ApplyAsync(change => Preloading.Complete(change, made), CancellationToken.None);
        }
        catch (Exception)
        {
            if (_services.Store.Current is var state && state.Find(made.Uuid) is { } vm && !Preloading.IsPreload(state, vm))
            {
                return;
            }
            await EndAsync([made], Preloading.Unlist, "it could not be made ready");
            throw;
        }
    }

    /// <summary>Waits for the agent, as long as qrexec_timeout says; a guest without one is taken to have booted then.</summary>
    private async Task BootedAsync(VmRecord made, CancellationToken cancellation)
    {
        var patience = TimeSpan.FromSeconds(_services.Properties.Int(_services.Store.Current, made, "qrexec_timeout"));
        var settled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void SettleIfBooted()
        {
            if (_services.Store.Current.Find(made.Uuid) is not { Status: { State: VmState.Running, Agent: not AgentState.Ready } })
            {
                settled.TrySetResult();
            }
        }
        using var subscription = _services.Store.Journal.Subscribe(_ => SettleIfBooted());
        SettleIfBooted();
        try
        {
            await settled.Task.WaitAsync(patience, _services.Clock, cancellation);
        }
        catch (TimeoutException)
        {
            // It is as ready as it will be.
        }
    }

    /// <summary>Ends those that it can <paramref name="claim"/>: that nobody was given meanwhile.</summary>
    private async Task EndAsync(IEnumerable<VmRecord> made, Func<IStateTransaction, VmRecord, bool> claim, string reason)
    {
        foreach (var vm in made.ToList())
        {
            if (!await _services.Store.ApplyAsync(change => claim(change, vm), CancellationToken.None))
            {
                continue;
            }
            Log.PreloadEnded(_services.Log, vm.Name, reason);
            await _disposables.TryEndAsync(vm);
        }
    }
}
