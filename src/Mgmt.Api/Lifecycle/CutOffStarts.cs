namespace Mgmt.Api;

/// <summary>
/// After a restart: starts that the end of the earlier daemon cut off before it had written down a process. Such a VM is just
/// Halted again; whoever saw its <c>domain-pre-start</c> is told how it went.
/// </summary>
internal static class CutOffStarts
{
    private const int Page = 4096;
    private const string Reason = "the daemon ended during the start";

    /// <summary>One that cannot be told is logged, and holds nobody up.</summary>
    internal static async Task TellAsync(LifecycleServices services, CancellationToken cancellation)
    {
        try
        {
            await TellAllAsync(services, cancellation);
        }
        catch (MgmtException error)
        {
            Log.EventLost(services.Log, "domain-start-failed", error);
        }
    }

    private static async Task TellAllAsync(LifecycleServices services, CancellationToken cancellation)
    {
        foreach (var name in Find(services))
        {
            using var gate = await services.Gates.EnterAsync(name, cancellation);
            // A start that is this daemon's own has ended by now, and has told so itself.
            if (services.Store.Current.Find(name) is { Status: { State: VmState.Halted, Run: null } } && Find(services).Contains(name))
            {
                await services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(name, "domain-start-failed", ("reason", Reason))), CancellationToken.None);
            }
        }
    }

    /// <summary>The VMs whose last start, as the journal has it, neither came to a process nor failed.</summary>
    private static HashSet<VmName> Find(LifecycleServices services)
    {
        var open = new HashSet<string>(StringComparer.Ordinal);
        ulong after = 0;
        while (services.Store.Journal.Read(after, Page) is { Count: > 0 } page)
        {
            after = page[^1].Sequence;
            foreach (var happened in page.Select(entry => entry.Event))
            {
                Note(open, happened);
            }
        }
        return [.. open.Select(VmName.Parse)];
    }

    private static void Note(HashSet<string> open, MgmtEvent happened)
    {
        switch (happened.Name)
        {
            case "domain-pre-start":
                open.Add(happened.Subject);
                break;
            case "domain-spawn" or "domain-start-failed":
                open.Remove(happened.Subject);
                break;
            case "domain-delete" when happened["vm"] is { } gone:
                open.Remove(gone);
                break;
        }
    }
}
