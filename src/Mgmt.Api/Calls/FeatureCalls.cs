using Mgmt.State;

namespace Mgmt.Api;

/// <summary>Features: free-form names with printable values. Empty is false, everything else is true.</summary>
public sealed class FeatureCalls(StateStore store, PropertyTable properties) : ICallGroup
{
    private const int MaxValueLength = 4096;

    /// <summary>What a server keeps for itself in a feature's guise. SOURCE: the features that Qubes OS refuses to change.</summary>
    private static readonly string[] Prohibited = ["deferred-netvm-original", .. Preloading.OwnFeatures];

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.feature.List", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.OneEntry("feature"), PayloadRule.None, CallDialects.Both,
            "The features of a VM.", List) { Returns = "`<feature>\\n`" },
        new("vm.feature.Get", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.None, CallDialects.Both,
            "The value of a feature.", Get) { Returns = "value" },
        new("vm.feature.CheckWithTemplate", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.None, CallDialects.Both,
            "The value of a feature, of the VM or of its template.", CheckWithTemplate) { Returns = "value" },
        new("vm.feature.CheckWithAdminVM", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.None, CallDialects.Both,
            "The value of a feature, of the VM or of dom0.", CheckWithAdminVM) { Returns = "value" },
        new("vm.feature.CheckWithTemplateAndAdminVM", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.None, CallDialects.Both,
            "The value of a feature, of the VM, of its template or of dom0.", CheckWithTemplateAndAdminVM) { Returns = "value" },
        new("vm.feature.CheckWithNetvm", CallTarget.Any, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.None, CallDialects.Both,
            "The value of a feature, of the VM or of the nearest netvm that has it.", CheckWithNetvm) { Returns = "value" },
        new("vm.feature.Set", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.Optional("value"), CallDialects.Both,
            "Sets a feature.", Set) { ValueArgument = Values.Argument },
        new("vm.feature.Remove", CallTarget.Any, CallAccess.Write, CallScope.Vm, ArgumentRule.Required("feature"), PayloadRule.None, CallDialects.Both,
            "Removes a feature.", Remove),
    ];

    private ValueTask<ReadOnlyMemory<byte>> List(CallContext call, CancellationToken cancellation)
    {
        if (call.Argument.Length == 0)
        {
            return new(Content.Lines(call.Target.Features.Keys));
        }
        return call.Target.Features.ContainsKey(call.Argument) ? new(Content.Text(call.Argument + "\n")) : throw NotFound(call.Target, call.Argument);
    }

    private ValueTask<ReadOnlyMemory<byte>> Get(CallContext call, CancellationToken cancellation) =>
        new(Content.Text(call.Target.Features.GetValueOrDefault(call.Argument) ?? throw NotFound(call.Target, call.Argument)));

    private ValueTask<ReadOnlyMemory<byte>> CheckWithTemplate(CallContext call, CancellationToken cancellation) => First(call, Chain(call, "template"));

    private ValueTask<ReadOnlyMemory<byte>> CheckWithAdminVM(CallContext call, CancellationToken cancellation) => First(call, [call.Target, Dom0(call)]);

    private ValueTask<ReadOnlyMemory<byte>> CheckWithTemplateAndAdminVM(CallContext call, CancellationToken cancellation) => First(call, Chain(call, "template").Append(Dom0(call)));

    private ValueTask<ReadOnlyMemory<byte>> CheckWithNetvm(CallContext call, CancellationToken cancellation) => First(call, Chain(call, "netvm"));

    /// <summary>The value of the first VM that has the feature, also when it is empty. ERRORS: QubesFeatureNotFoundError.</summary>
    private static ValueTask<ReadOnlyMemory<byte>> First(CallContext call, IEnumerable<VmRecord> vms) =>
        new(Content.Text(vms.Select(vm => vm.Features.GetValueOrDefault(call.Argument)).FirstOrDefault(value => value is not null) ?? throw NotFound(call.Target, call.Argument)));

    /// <summary>The VM, the one its property names, the one that one's names, and so on.</summary>
    private IEnumerable<VmRecord> Chain(CallContext call, string property)
    {
        var seen = 0;
        for (var vm = call.Target; vm is not null && seen++ <= call.State.Vms.Count; vm = properties.TryReferent(call.State, vm, property))
        {
            yield return vm;
        }
    }

    private static VmRecord Dom0(CallContext call) => call.State.Get(VmName.Dom0);

    private async ValueTask<ReadOnlyMemory<byte>> Set(CallContext call, CancellationToken cancellation)
    {
        var feature = Changeable(call);
        var value = call.PayloadText("feature value");
        if (value.Length > MaxValueLength || value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new MgmtException(ErrorCode.QubesValueError, "feature value contains illegal characters, or more than %s", MaxValueLength.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
        Preloading.CheckFeature(feature, value);
        await store.ApplyAsync(change => change.SetFeature(call.Target.Name, feature, value), CancellationToken.None);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> Remove(CallContext call, CancellationToken cancellation)
    {
        var feature = Changeable(call);
        var was = await store.ApplyAsync(change => change.RemoveFeature(call.Target.Name, feature), CancellationToken.None);
        return was ? Content.Empty : throw NotFound(call.Target, feature);
    }

    private static string Changeable(CallContext call)
    {
        var feature = FeatureName.Parse(call.Argument).Value;
        return Prohibited.Contains(feature) ? throw new MgmtException(ErrorCode.QubesValueError, "Feature %s is not for callers to change", feature) : feature;
    }

    private static MgmtException NotFound(VmRecord vm, string feature) => new(ErrorCode.QubesFeatureNotFoundError, "Feature not set for domain %s: %s", vm.Name.Value, feature);
}
