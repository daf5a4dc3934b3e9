using Mgmt.State;

namespace Mgmt.Api;

/// <summary>
/// Firewalls of VMs. Nothing enforces rules on this host yet, so the only ones there can be are the default: everything is accepted.
/// Setting them to what they are is no change and is allowed, because today's clients do that when they copy a VM.
/// </summary>
public sealed class FirewallCalls(StateStore store) : ICallGroup
{
    private const string DefaultRules = "action=accept\n";

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.firewall.Get", CallTarget.Vm, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "The firewall rules of a VM: the default one, until networking is built.", Get) { Returns = "`<rule>\\n`" },
        new("vm.firewall.Set", CallTarget.Vm, CallAccess.Write, CallScope.Vm, ArgumentRule.None, PayloadRule.Required("`<rule>\\n` each"), CallDialects.Both,
            "Sets the firewall rules of a VM. Not built yet: refused unless they are what they are.", Set),
        new("vm.firewall.Reload", CallTarget.Vm, CallAccess.Execute, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Both,
            "Has whoever enforces the rules of a VM read them again.", Reload),
        new("vm.firewall.GetPolicy", CallTarget.Vm, CallAccess.Read, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "What happens to a packet that no rule matches.", GetPolicy) { Returns = "`accept` or `drop`" },
        new("vm.firewall.SetPolicy", CallTarget.Vm, CallAccess.Write, CallScope.Vm, ArgumentRule.None, PayloadRule.Required("`accept` or `drop`"), CallDialects.Mgmt,
            "Sets what happens to a packet that no rule matches. Not built yet: refused.", SetPolicy),
        new("vm.firewall.Flush", CallTarget.Vm, CallAccess.Write, CallScope.Vm, ArgumentRule.None, PayloadRule.None, CallDialects.Mgmt,
            "Removes the firewall rules of a VM. Not built yet: refused.", Flush),
    ];

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, CancellationToken cancellation) => new(Content.Text(DefaultRules));

    private async ValueTask<ReadOnlyMemory<byte>> Set(CallContext call, CancellationToken cancellation)
    {
        var rules = call.PayloadText("firewall rules");
        if (rules.TrimEnd('\n') != DefaultRules.TrimEnd('\n'))
        {
            throw NotBuilt();
        }
        await TellAsync(call);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Reload(CallContext call, CancellationToken cancellation)
    {
        await TellAsync(call);
        return Content.Empty;
    }

    /// <summary>The last rule, which accepts everything, leaves nothing for it; behind it stands, as in Qubes OS, a drop.</summary>
    private ValueTask<ReadOnlyMemory<byte>> GetPolicy(CallContext call, CancellationToken cancellation) => new(Content.Text("drop"));

    private ValueTask<ReadOnlyMemory<byte>> SetPolicy(CallContext call, CancellationToken cancellation) => throw NotBuilt();

    private ValueTask<ReadOnlyMemory<byte>> Flush(CallContext call, CancellationToken cancellation) => throw NotBuilt();

    private Task TellAsync(CallContext call) => store.ApplyAsync(change => change.Emit(MgmtEvent.Of(call.Target.Name, "firewall-changed")), CancellationToken.None);

    private static MgmtException NotBuilt() => new(ErrorCode.QubesNotImplementedError, "Firewall rules are not enforced on this host yet, so they cannot be changed");
}
