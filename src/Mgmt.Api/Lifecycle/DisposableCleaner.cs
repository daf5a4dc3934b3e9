using System.Collections.Concurrent;
using System.Threading.Channels;
using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// Removes disposable VMs with <c>auto_cleanup</c> once their run is over, or could not begin; also those whose end no daemon saw, and those that an
/// earlier daemon made and nobody started. One that cannot be removed, because something names it, is logged and stays.
/// </summary>
public sealed class DisposableCleaner
{
    private readonly LifecycleServices _services;
    private readonly VmMaker _maker;

    // At most one entry per VM; the channel only says that there is something.
    private readonly ConcurrentDictionary<VmName, byte> _due = new();
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>To be made before callers are served: what is there unused now, nobody is about to use.</summary>
    public DisposableCleaner(LifecycleServices services, VmMaker maker)
    {
        _services = services;
        _maker = maker;
        foreach (var vm in services.Store.Current.Vms.Values.Where(vm => IsOver(vm) && vm.Status.Run is null))
        {
            Add(vm.Name);
        }
    }

    /// <summary>Works until the token ends.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var subscription = _services.Store.Journal.Subscribe(Look);
        try
        {
            while (await _wake.Reader.WaitToReadAsync(cancellation))
            {
                _wake.Reader.TryRead(out _);
                foreach (var name in _due.Keys)
                {
                    _due.TryRemove(name, out _);
                    await TryRemoveAsync(name, cancellation);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The daemon stops; the next one goes on.
        }
    }

    /// <summary>Runs on the store's writer: remembers and never waits.</summary>
    private void Look(IReadOnlyList<JournalEntry> committed)
    {
        foreach (var happened in committed.Select(entry => entry.Event).Where(e => e.Name is "domain-shutdown" or "domain-start-failed"))
        {
            Add(VmName.Parse(happened.Subject));
        }
    }

    private void Add(VmName name)
    {
        _due[name] = 0;
        _wake.Writer.TryWrite(true);
    }

    private async Task TryRemoveAsync(VmName name, CancellationToken cancellation)
    {
        if (_services.Store.Current.Find(name) is not { } vm || !IsOver(vm))
        {
            return;
        }
        try
        {
            await _maker.RemoveAsync(name, cancellation);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            Log.CleanUpFailed(_services.Log, name, error);
        }
    }

    private static bool IsOver(VmRecord vm) => vm.Class == VmClass.DispVM && vm.Property("auto_cleanup") == "True" && vm.Status.State == VmState.Halted;
}
