namespace Mgmt.Api;

/// <summary>
/// Freezes the file systems of running guests for a moment. It is written down before the guest is asked; whatever happens then, to the call,
/// the guest or the daemon, the guest is thawed after a deadline at the latest, and the mark goes only when it is known to be.
/// </summary>
internal sealed class GuestFreeze(LifecycleServices services)
{
    /// <summary>The fault of a VM whose guest ought to be thawed and is not known to be.</summary>
    internal const string Overdue = "frozen";

    /// <summary>From the mark until somebody thaws it who did not freeze it.</summary>
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    /// <summary>For the guest to freeze: it writes out all that it has in memory.</summary>
    internal static readonly TimeSpan FreezeDeadline = TimeSpan.FromSeconds(8);

    /// <summary>
    /// Asks the guest to freeze. What it gives has to be thawed, whatever came of it. ERRORS: MgmtUnavailableError: no agent that answers, the VM
    /// ended, or the thaw of an earlier freeze is overdue.
    /// </summary>
    internal Task<FrozenGuest> FreezeAsync(VmSession session) => FreezeAsync(session, "guest-fsfreeze-freeze", null);

    /// <summary>The same with the command that does it: all file systems, or some.</summary>
    internal async Task<FrozenGuest> FreezeAsync(VmSession session, string command, string? arguments)
    {
        if (session.Vm.Agent.State != AgentState.Ready)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The guest agent of %s is not ready", session.Name.Value);
        }
        if (services.Store.Current.Find(session.Name)?.Status.Run?.FrozenAt is not null)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The file systems of %s are still being thawed", session.Name.Value);
        }
        var now = services.Clock.GetUtcNow();
        if (!await services.Store.ApplyAsync(change => change.SetFrozen(session, now), CancellationToken.None))
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "%s ended", session.Name.Value);
        }
        var guest = new FrozenGuest(services, session);
        session.Thawing = guest.WatchAsync(Limit);
        await guest.FreezeAsync(command, arguments);
        return guest;
    }

    /// <summary>After an adoption: thaws a guest that an earlier daemon may have left frozen. Begins at once and does not wait.</summary>
    internal void Recover(VmSession session)
    {
        if (services.Store.Current.Find(session.Name)?.Status.Run?.FrozenAt is { } since)
        {
            Log.FoundFrozen(services.Log, session.Name, since);
            session.Thawing = new FrozenGuest(services, session).WatchAsync(TimeSpan.Zero);
        }
    }
}
