using System.CommandLine;
using System.Globalization;
using Mgmt.Cli.Formats;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Verbs;

/// <summary>wait: events say when to look, CurrentState says what is.</summary>
internal static class WaitVerb
{
    private const int DefaultSeconds = 300;

    public static Command Create(CommandLine cli)
    {
        var vm = Symbols.Vm();
        var state = new Option<string?>("--state") { Description = "The state to wait for; Running when neither --state nor --agent is given", HelpName = "STATE" };
        state.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase, Enum.GetNames<VmState>());
        var agent = new Option<string?>("--agent") { Description = "The state of the guest agent to wait for", HelpName = "STATE" };
        agent.AcceptOnlyFromAmong("absent", "connecting", "ready", "lost", "suspended");
        var timeout = new Option<double>("--timeout") { Description = "Seconds to wait at most; 0 is for ever", HelpName = "SECONDS", DefaultValueFactory = _ => DefaultSeconds };
        string[] examples = ["mgmtctl wait work --state Halted", "mgmtctl wait work --state Running --agent ready --timeout 60"];
        return cli.Verb("wait", "Wait until a VM is in a state", examples, [vm, state, agent, timeout], (run, token) =>
        {
            var wanted = new Goal(run.Get(vm)!, run.Get(state) ?? (run.Get(agent) is null ? "Running" : null), run.Get(agent));
            return WaitAsync(run, wanted, Limit(run.Get(timeout)), token);
        });
    }

    private static TimeSpan Limit(double seconds) => seconds switch
    {
        0 => Timeout.InfiniteTimeSpan,
        > 0 and < int.MaxValue / 1000 => TimeSpan.FromSeconds(seconds),
        _ => throw new UsageException("--timeout takes seconds"),
    };

    private static async Task<int> WaitAsync(Run run, Goal goal, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(limit, run.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        var seen = "unknown";
        try
        {
            var filter = new EventFilter { Patterns = ["domain-*", "agent-*", "fault-*"] };
            await foreach (var next in new EventFollower(run.Daemon, run.Time).FollowAsync(goal.Vm, filter, either.Token))
            {
                if (EventFollower.IsFinal(next))
                {
                    throw new MgmtException(next["reason"] == "denied" ? ErrorCode.PermissionDenied : ErrorCode.QubesVMNotFoundError,
                        "%s cannot be watched any more: %s", goal.Vm, next["reason"]!);
                }
                if (next.Name != "bookmark" && await LookAsync(run, goal.Vm, either.Token) is { } facts)
                {
                    if (goal.IsMet(facts))
                    {
                        return ExitCode.Done;
                    }
                    seen = $"{facts.Find("power_state")}, agent {facts.Find("agent")}";
                }
            }
            throw new InvalidOperationException("the event stream ended without a reason");
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new MgmtException(ErrorCode.MgmtTimeoutError, "%s was not there after %s s; last seen: %s",
                goal.Vm, limit.TotalSeconds.ToString(CultureInfo.InvariantCulture), seen);
        }
    }

    /// <summary>The facts, or null when the daemon went away in between; the follower comes back to it.</summary>
    private static async Task<IReadOnlyList<KeyValuePair<string, string>>?> LookAsync(Run run, string vm, CancellationToken cancellationToken)
    {
        try
        {
            return KeyValues.OfWords(await run.Daemon.TextAsync("mgmt.vm.CurrentState", "", vm, cancellationToken));
        }
        catch (MgmtException error) when (EventFollower.IsPassing(error.Code))
        {
            return null;
        }
    }

    private sealed record Goal(string Vm, string? State, string? Agent)
    {
        public bool IsMet(IReadOnlyList<KeyValuePair<string, string>> facts) =>
            (State is null || State.Equals(facts.Find("power_state"), StringComparison.OrdinalIgnoreCase))
            && (Agent is null || Agent == facts.Find("agent"));
    }
}
