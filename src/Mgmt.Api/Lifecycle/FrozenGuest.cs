using System.Text.Json;

namespace Mgmt.Api;

/// <summary>A guest that was asked to freeze.</summary>
internal sealed class FrozenGuest(LifecycleServices services, VmSession session)
{
    private static readonly TimeSpan ThawDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly TaskCompletionSource _thawAsked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _firstTry = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _thawBegun;
    private volatile bool _wasThawedByOthers;
    private bool _thawTried;
    private Quiesced _outcome = Quiesced.TimedOut;

    /// <summary>Yes: certainly frozen, and we have not begun to thaw it. No: certainly not.</summary>
    internal Quiesced State => _outcome == Quiesced.Yes && _thawBegun ? Quiesced.TimedOut : _outcome;

    /// <summary>There was nothing to thaw when we did it.</summary>
    internal bool WasThawedByOthers => _wasThawedByOthers;

    /// <summary>How many file systems were frozen, as the guest said.</summary>
    internal long Count { get; private set; }

    /// <summary>It was thawed, or that was tried.</summary>
    internal bool IsOver => _firstTry.Task.IsCompleted;

    /// <summary>How many were thawed, as the guest said.</summary>
    internal long Thawed { get; private set; }

    /// <summary>Why it is not frozen, when it is not.</summary>
    internal MgmtException? Refusal { get; private set; }

    /// <summary>Asks for the freeze and finds out what came of it, as far as that can be known within the deadline.</summary>
    internal async Task FreezeAsync(string command, string? arguments)
    {
        var began = services.Clock.GetTimestamp();
        try
        {
            var count = await session.Vm.Agent.ExecuteAsync(command, arguments, GuestFreeze.FreezeDeadline, CancellationToken.None);
            Count = Number(count);
            _outcome = Count > 0 ? Quiesced.Yes : Quiesced.No;
            return;
        }
        catch (MgmtException error)
        {
            Refusal = error;
        }
        // The error does not say what is: the status does.
        while (services.Clock.GetElapsedTime(began) < GuestFreeze.Limit && !session.HasEnded)
        {
            if (await StatusAsync() is { } status)
            {
                _outcome = status == "frozen" ? Quiesced.Yes : Refusal.Code == ErrorCode.MgmtTimeoutError ? Quiesced.TimedOut : Quiesced.No;
                return;
            }
            await PauseAsync();
        }
    }

    /// <summary>Thaws it; returns after the first try. The tries go on until it is known to be thawed.</summary>
    internal Task ThawAsync()
    {
        _thawAsked.TrySetResult();
        return _firstTry.Task;
    }

    /// <summary>Waits until somebody asks for the thaw or the time is up, and thaws.</summary>
    internal async Task WatchAsync(TimeSpan limit)
    {
        try
        {
            await Task.WhenAny(_thawAsked.Task, Task.Delay(limit, services.Clock), session.Vm.Exited);
            _thawBegun = true;
            var thawing = ThawUntilDoneAsync();
            if (await Task.WhenAny(thawing, Task.Delay(ThawDeadline, services.Clock)) != thawing)
            {
                Log.ThawOverdue(services.Log, session.Name);
                await services.Store.ApplyAsync(change =>
                {
                    if (!session.HasEnded)
                    {
                        change.SetFault(session.Name, GuestFreeze.Overdue, true);
                    }
                }, CancellationToken.None);
            }
            if (await thawing)
            {
                await services.Store.ApplyAsync(change => change.SetFrozen(session, null), CancellationToken.None);
            }
        }
        catch (Exception error)
        {
            // The mark stays: the next daemon tries again.
            Log.CleanUpFailed(services.Log, session.Name, error);
        }
        finally
        {
            _firstTry.TrySetResult();
        }
    }

    /// <summary>False when the VM ended, or is let go of, before that.</summary>
    private async Task<bool> ThawUntilDoneAsync()
    {
        while (!session.HasEnded && !session.Vm.Exited.IsCompleted)
        {
            if (await TryThawAsync())
            {
                return true;
            }
            _firstTry.TrySetResult();
            await PauseAsync();
        }
        return false;
    }

    private async Task<bool> TryThawAsync()
    {
        if (session.Vm.Agent.State != AgentState.Ready)
        {
            return false;
        }
        try
        {
            var count = await session.Vm.Agent.ExecuteAsync("guest-fsfreeze-thaw", null, ThawDeadline, CancellationToken.None);
            Thawed += Number(count);
            _wasThawedByOthers = !_thawTried && Number(count) == 0;
            _thawTried = true;
        }
        catch (MgmtException error)
        {
            // It may have been done all the same.
            _thawTried = true;
            Log.NotThawed(services.Log, session.Name, error.Message);
        }
        return await StatusAsync() == "thawed";
    }

    /// <summary><c>thawed</c>, <c>frozen</c>, or null when the agent does not say.</summary>
    private async Task<string?> StatusAsync()
    {
        try
        {
            var status = await session.Vm.Agent.ExecuteAsync("guest-fsfreeze-status", null, ThawDeadline, CancellationToken.None);
            return status.ValueKind == JsonValueKind.String ? status.GetString() : null;
        }
        catch (MgmtException error)
        {
            // A frozen guest answers this: an agent that does not know it has never frozen anything.
            return error.Code == ErrorCode.MgmtUnsupportedError ? "thawed" : null;
        }
    }

    private Task PauseAsync() => Task.WhenAny(Task.Delay(Pause, services.Clock), session.Vm.Exited);

    private static long Number(JsonElement count) => count.ValueKind == JsonValueKind.Number && count.TryGetInt64(out var number) ? number : 0;
}
