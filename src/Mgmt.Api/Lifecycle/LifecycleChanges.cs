using Mgmt.State;

namespace Mgmt.Api;

/// <summary>The changes of a VM's status with the events that belong to them, each one transaction.</summary>
internal static class LifecycleChanges
{
    internal static void SetState(this IStateTransaction change, VmName name, VmState state)
    {
        if (change.State.Find(name) is { } vm)
        {
            change.PutVm(vm with { Status = vm.Status with { State = state } });
        }
    }

    /// <summary>
    /// As <see cref="SetState"/> for what was asked of a running VM, which may have ended meanwhile: then its end stands. Whether it was set.
    /// </summary>
    internal static bool MoveState(this IStateTransaction change, VmName name, VmState state)
    {
        if (change.State.Find(name)?.Status.State is not (VmState.Running or VmState.Paused or VmState.Suspended or VmState.Halting))
        {
            return false;
        }
        change.SetState(name, state);
        return true;
    }

    /// <summary>Its virtual processors run for the first time.</summary>
    internal static void SetStarted(this IStateTransaction change, VmName name)
    {
        var vm = change.State.Get(name);
        change.PutVm(vm with { Status = vm.Status with { State = VmState.Running, Run = vm.Status.Run is { } run ? run with { StartedAt = change.Now } : null } });
    }

    internal static void SetAgent(this IStateTransaction change, VmName name, AgentState agent)
    {
        if (change.State.Find(name) is not { } vm || vm.Status.Agent == agent)
        {
            return;
        }
        change.PutVm(vm with { Status = vm.Status with { Agent = agent, AgentSince = change.Now } });
        change.Emit(MgmtEvent.Of(name, "agent-state", ("agent", Wire(agent))));
    }

    internal static void SetFault(this IStateTransaction change, VmName name, string fault, bool set)
    {
        if (change.State.Find(name) is not { } vm || vm.Status.Faults.Contains(fault) == set)
        {
            return;
        }
        change.PutVm(vm with { Status = vm.Status with { Faults = set ? vm.Status.Faults.Add(fault) : vm.Status.Faults.Remove(fault) } });
        change.Emit(MgmtEvent.Of(name, set ? "fault-set" : "fault-cleared", ("fault", fault)));
    }

    /// <summary>The process is gone, or was never there: everything that spoke of it is reset.</summary>
    internal static void SetHalted(this IStateTransaction change, VmName name)
    {
        foreach (var fault in change.State.Find(name)?.Status.Faults ?? [])
        {
            change.SetFault(name, fault, false);
        }
        if (change.State.Find(name) is { } vm)
        {
            change.PutVm(vm with { Status = VmStatus.Halted });
        }
    }

    internal static string Wire(AgentState agent) => agent switch
    {
        AgentState.Connecting => "connecting",
        AgentState.Ready => "ready",
        AgentState.Lost => "lost",
        AgentState.Suspended => "suspended",
        _ => "absent",
    };
}
