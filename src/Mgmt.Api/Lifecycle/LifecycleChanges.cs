using System.Collections.Immutable;
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

    /// <summary>Sets the state of a VM whose process we hold; false, and nothing changed, when that process has ended meanwhile.</summary>
    internal static bool SetState(this IStateTransaction change, VmSession session, VmState state)
    {
        // The end is written by a later transaction, if it is not written yet: what is set here can outlive it never.
        if (session.HasEnded)
        {
            return false;
        }
        change.SetState(session.Name, state);
        return true;
    }

    /// <summary>Its virtual processors run for the first time.</summary>
    internal static void SetStarted(this IStateTransaction change, VmName name)
    {
        var vm = change.State.Get(name);
        change.PutVm(vm with { Status = vm.Status with { State = VmState.Running, Run = vm.Status.Run is { } run ? run with { StartedAt = change.Now } : null } });
    }

    /// <summary>Why its processors stopped by themselves; over when they run again.</summary>
    private static readonly ImmutableArray<string> StopFaults = ["guest-panicked", "io-error", "no-space"];

    /// <summary>Its processors run again.</summary>
    internal static void SetRunsAgain(this IStateTransaction change, VmName name)
    {
        change.SetState(name, VmState.Running);
        foreach (var fault in StopFaults)
        {
            change.SetFault(name, fault, false);
        }
        Preloading.RunsAgain(change, name);
    }

    /// <summary>Writes down that the guest of a run may be frozen, or is known not to be; false when that run is over.</summary>
    internal static bool SetFrozen(this IStateTransaction change, VmSession session, DateTimeOffset? since)
    {
        if (session.HasEnded || change.State.Find(session.Name) is not { Status.Run: { } run } vm || run.StartGuid != session.Vm.Run.StartGuid)
        {
            return false;
        }
        change.PutVm(vm with { Status = vm.Status with { Run = run with { FrozenAt = since } } });
        if (since is null)
        {
            change.SetFault(session.Name, GuestFreeze.Overdue, false);
        }
        return true;
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

    /// <summary>What is computed of a run is another with each one. SOURCE: the events of Qubes OS around domain-spawn and domain-shutdown.</summary>
    internal static void EmitRunResets(this IStateTransaction change, VmName name)
    {
        foreach (var property in RunProperties)
        {
            change.Emit(MgmtEvent.Of(name, "property-reset:" + property, ("name", property)));
        }
    }

    /// <summary>The properties that are another with each run.</summary>
    internal static readonly ImmutableArray<string> RunProperties = ["xid", "stubdom_xid", "start_time"];

    internal static string Wire(AgentState agent) => agent switch
    {
        AgentState.Connecting => "connecting",
        AgentState.Ready => "ready",
        AgentState.Lost => "lost",
        AgentState.Suspended => "suspended",
        _ => "absent",
    };
}
