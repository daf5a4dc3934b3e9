using System.Globalization;
using System.Text;

namespace Mgmt.Api;

/// <summary>What there is: classes, VMs, their state.</summary>
public sealed class VmCalls(LifecycleServices services, DisposablePreloader preloader) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vmclass.List", CallTarget.Dom0, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("class"), PayloadRule.None, CallDialects.Both,
            "The classes a VM can have.", ListClasses) { Returns = "`<class>\\n`" },
        new("vm.List", CallTarget.Any, CallAccess.Read, CallScope.Host, ArgumentRule.OneEntry("vm"), PayloadRule.None, CallDialects.Both,
            "dom0: all VMs; a VM: that one.", List) { Returns = "`<name> class=<class> state=<state>\\n`" },
        new("vm.CurrentState", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "What a VM is doing and uses; memory in KiB, processor time in ms.", CurrentState)
        {
            Returns = "`mem=<KiB> mem_static_max=<KiB> cputime=<ms> power_state=<state> agent=<state> agent_age_ms=<ms> fault=<word>` (agent, fault: mgmt only; fault once per fault)",
        },
        new("vm.Remove", CallTarget.Vm, CallAccess.Write, CallScope.Host, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Removes a halted VM that nothing uses, with its volumes.", Remove),
    ];

    private ValueTask<ReadOnlyMemory<byte>> ListClasses(CallContext call, CancellationToken cancellation)
    {
        VmClass[] classes = [VmClass.AppVM, VmClass.TemplateVM, VmClass.StandaloneVM, VmClass.AdminVM, VmClass.DispVM, VmClass.RemoteVM];
        if (call.Argument.Length == 0)
        {
            return new(Content.Lines(classes));
        }
        return Enum.TryParse<VmClass>(call.Argument, out var one) && one.ToString() == call.Argument
            ? new(Content.Text(call.Argument + "\n"))
            : throw new MgmtException(ErrorCode.QubesValueError, "No such class: '%s'", call.Argument);
    }

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation)
    {
        var text = new StringBuilder();
        if (call.Target.Class != VmClass.AdminVM)
        {
            return call.Argument.Length > 0
                ? throw new MgmtException(ErrorCode.ProtocolError, "unexpected argument: the destination says which VM")
                : new(Content.Text(Line(text, call.Target, call).ToString()));
        }
        if (call.Argument.Length > 0)
        {
            return new(Content.Text(Line(text, call.State.Get(VmName.Parse(call.Argument)), call).ToString()));
        }
        foreach (var vm in call.State.Vms.Values)
        {
            Line(text, vm, call);
        }
        return new(Content.Text(text.ToString()));
    }

    private ValueTask<ReadOnlyMemory<byte>> CurrentState(CallContext call, CancellationToken cancellation)
    {
        var vm = call.Target;
        var usage = services.Sessions.Find(vm.Name)?.Vm.Usage();
        var most = vm.Class is VmClass.AdminVM or VmClass.RemoteVM ? 0 : services.Properties.Int(call.State, vm, "memory") * 1024L;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"mem={usage?.MemoryKiB ?? 0} mem_static_max={most} cputime={(long)(usage?.ProcessorTime.TotalMilliseconds ?? 0)} power_state={vm.Status.State}");
        if (call.IsMgmt)
        {
            var age = vm.Status.AgentSince == default ? 0 : (long)(services.Clock.GetUtcNow() - vm.Status.AgentSince).TotalMilliseconds;
            text.Append(CultureInfo.InvariantCulture, $" agent={LifecycleChanges.Wire(vm.Status.Agent)} agent_age_ms={Math.Max(0, age)}");
            foreach (var fault in vm.Status.Faults)
            {
                text.Append(" fault=").Append(fault);
            }
        }
        return new(Content.Text(text.ToString()));
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        await preloader.RemoveAsync(call.Target.Name, cancellation);
        return Content.Empty;
    }

    private static StringBuilder Line(StringBuilder text, VmRecord vm, CallContext call)
    {
        text.Append(vm.Name.Value).Append(" class=").Append(vm.Class.ToString()).Append(" state=").Append(vm.Status.State.ToString());
        return (call.IsMgmt ? text : text.Append(" uuid=").Append(vm.Uuid.ToString("D"))).Append('\n');
    }
}
