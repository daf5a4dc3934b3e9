using System.Collections.Immutable;

namespace Mgmt.Api;

/// <summary>Making VMs.</summary>
public sealed class VmCreateCalls(VmMaker maker) : ICallGroup
{
    private static readonly VmClass[] Creatable = [VmClass.AppVM, VmClass.TemplateVM, VmClass.StandaloneVM, VmClass.DispVM, VmClass.RemoteVM];

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        .. Creatable.Select(c => new CallRow($"vm.Create.{c}", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Optional("template"),
            PayloadRule.Required("`name=<name> label=<label>`"), CallDialects.Both, $"Makes a VM of class {c}.", (call, token) => Create(call, c, pools: false, token))),
        .. Creatable.Select(c => new CallRow($"vm.CreateInPool.{c}", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Optional("template"),
            PayloadRule.Required("`name=<name> label=<label> pool=<pool>` or `… pool:<volume>=<pool>`"), CallDialects.Both,
            $"Makes a VM of class {c} with its volumes in the pools named.", (call, token) => Create(call, c, pools: true, token))),
        new("vm.CreateTemplate", CallTarget.Dom0, CallAccess.Write, CallScope.Host, ArgumentRule.Required("`NAME+BYTES`"),
            PayloadRule.Streamed("the root image, raw, exactly BYTES"), CallDialects.Mgmt, "Makes a TemplateVM from a root image.", CreateTemplate)
        {
            AskedArgument = argument => argument.Split('+')[0],
        },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Create(CallContext call, VmClass vmClass, bool pools, CancellationToken cancellation)
    {
        var keys = VmCreatePayload.Parse(call.PayloadText("payload"), pools);
        var blueprint = new VmBlueprint(vmClass, keys.Name, keys.Label, Template(call, vmClass), keys.Pool, keys.PoolOf);
        await maker.CreateAsync(blueprint, call.Source, null, cancellation);
        return Content.Empty;
    }

    private async ValueTask<ReadOnlyMemory<byte>> CreateTemplate(CallContext call, CancellationToken cancellation)
    {
        var parts = call.Argument.Split('+');
        if (parts.Length != 2)
        {
            throw new MgmtException(ErrorCode.ProtocolError, "expected an argument of the form NAME+BYTES");
        }
        var size = Parse.Number(parts[1], "Volume size");
        if (size <= 0 || size % 512 != 0)
        {
            throw new MgmtException(ErrorCode.QubesValueError, "Volume size has to be a positive multiple of 512, not %s", parts[1]);
        }
        var blueprint = new VmBlueprint(VmClass.TemplateVM, VmName.Parse(parts[0]), "black", null, null, ImmutableDictionary<VolumeName, PoolName>.Empty);
        await maker.CreateAsync(blueprint, call.Source, (call.PayloadStream!, size), cancellation);
        return Content.Empty;
    }

    private static string? Template(CallContext call, VmClass vmClass) => call.Argument.Length > 0
        ? call.Argument
        : vmClass == VmClass.AppVM && call.State.Properties.GetValueOrDefault("default_template") is { Length: > 0 } template ? template : null;
}
