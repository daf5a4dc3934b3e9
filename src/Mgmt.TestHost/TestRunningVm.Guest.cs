using Mgmt.Core;

namespace Mgmt.TestHost;

/// <summary>The guest inside: it boots, its agent comes up, it powers off or crashes. All of it runs under the gate.</summary>
public sealed partial class TestRunningVm
{
    private AgentState _agent = AgentState.Absent;
    private int _agentSession;
    private bool _frozen;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal AgentState AgentNow
    {
        get
        {
            lock (_gate)
            {
                return _agent;
            }
        }
    }

    /// <summary>Whether the agent would answer now, and a task that completes when that may have changed. ERRORS: MgmtUnavailableError.</summary>
    internal (bool Answers, Task Changed) AgentAnswers()
    {
        lock (_gate)
        {
            ThrowIfAgentIsNotThere();
            return (_agent == AgentState.Ready && _processors == VmState.Running, _changed.Task);
        }
    }

    internal long AgentSession
    {
        get
        {
            lock (_gate)
            {
                return _agentSession;
            }
        }
    }

    internal TimeSpan FreezeDelay => _behaviour.Delays.Freeze;

    internal bool IsFrozen
    {
        get
        {
            lock (_gate)
            {
                return _frozen;
            }
        }
    }

    /// <summary>Freezes or thaws its file system; false when that changed nothing.</summary>
    internal bool SetFrozen(bool frozen)
    {
        lock (_gate)
        {
            var changed = _frozen != frozen;
            _frozen = frozen;
            return changed;
        }
    }

    /// <summary>guest-shutdown. A silent agent takes the command and does nothing. Mode is <c>powerdown</c>, <c>halt</c> or <c>reboot</c>.</summary>
    internal void ShutdownByAgent(string mode)
    {
        lock (_gate)
        {
            ThrowIfAgentIsNotThere();
            if (_agent != AgentState.Ready || _behaviour.Faults.IgnoresShutdown)
            {
                return;
            }
            switch (mode)
            {
                case "powerdown":
                    ShutDown();
                    break;
                case "halt":
                    AfterInGuest(_behaviour.Delays.Shutdown, () => SetAgent(AgentState.Lost));
                    break;
                case "reboot":
                    AfterInGuest(_behaviour.Delays.Shutdown, Reboot);
                    break;
                default:
                    throw new MgmtException(ErrorCode.QubesException, "mode is invalid (valid values are: halt|powerdown|reboot)");
            }
        }
    }

    private void ThrowIfAgentIsNotThere()
    {
        if (_gone || _agent is AgentState.Absent or AgentState.Lost or AgentState.Suspended)
        {
            throw new MgmtException(ErrorCode.MgmtUnavailableError, "The guest agent of %s is not there", Name.Value);
        }
    }

    private void Boot()
    {
        StartAgent();
        if (_behaviour.Faults.CrashAfter is { } delay)
        {
            // A crash is the process's, not the guest's: a paused VM crashes too.
            After(delay, () => End(new VmExit(true, "signal-11")));
        }
    }

    private void Reboot()
    {
        _frozen = false;
        Tell(new VmSignal.Reset());
        StartAgent();
    }

    private void StartAgent()
    {
        if (_behaviour.Faults.Agent == AgentFault.Absent)
        {
            return;
        }
        // Timers of the agent before a reboot must not speak for the one after it.
        var session = ++_agentSession;
        SetAgent(AgentState.Connecting);
        if (_behaviour.Faults.Agent == AgentFault.Silent)
        {
            return;
        }
        AfterInGuest(_behaviour.Delays.Agent, () => InSession(session, () =>
        {
            SetAgent(AgentState.Ready);
            if (_behaviour.Faults.LostAfter is { } delay)
            {
                AfterInGuest(delay, () => InSession(session, () => SetAgent(AgentState.Lost)));
            }
        }));
    }

    private void InSession(int session, Action act)
    {
        if (session == _agentSession && !_gone)
        {
            act();
        }
    }

    private void SetAgent(AgentState state)
    {
        if (_agent != state)
        {
            _agent = state;
            Tell(new VmSignal.AgentChanged(state));
            Changed();
        }
    }

    private void ShutDown()
    {
        if (_shuttingDown || _behaviour.Faults.IgnoresShutdown)
        {
            return;
        }
        _shuttingDown = true;
        AfterInGuest(_behaviour.Delays.Shutdown, () =>
        {
            Tell(new VmSignal.GuestShutdown("guest-shutdown"));
            End(new VmExit(false, "guest-shutdown"));
        });
    }

    /// <summary>Wakes those who wait for the agent to answer.</summary>
    private void Changed()
    {
        _changed.TrySetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
