namespace Mgmt.Api;

/// <summary>Disposable VMs: made for one use, and removed when it is over.</summary>
public sealed class DisposableCalls(DisposableVms disposables) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.CreateDisposable", CallTarget.Any, CallAccess.Write, CallScope.Host, ArgumentRule.Optional("`preload`"), PayloadRule.Optional("`uuid`"), CallDialects.Both,
            "Makes a disposable VM from the VM called, or, called on dom0, from the caller's default_dispvm; it is removed when its run is over. preload is not built yet.", Create)
        {
            Returns = "its name; with `uuid`: `uuid:<uuid>`",
        },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> Create(CallContext call, CancellationToken cancellation)
    {
        var wantsUuid = call.PayloadText("payload") switch
        {
            "" => false,
            "uuid" => true,
            _ => throw new MgmtException(ErrorCode.ProtocolError, "the payload is empty or uuid"),
        };
        if (call.Argument.Length > 0)
        {
            throw call.Argument == "preload"
                ? new MgmtException(ErrorCode.QubesNotImplementedError, "Preloaded disposables are not built yet")
                : new MgmtException(ErrorCode.ProtocolError, "the argument is empty or preload");
        }
        var from = call.Target.Class == VmClass.AdminVM ? disposables.DefaultOf(call.State, call.Source) : call.Target;
        var made = await disposables.CreateAsync(from, call.Source, cancellation);
        return Content.Text(wantsUuid ? $"uuid:{made.Uuid:D}" : made.Name.Value);
    }
}
