namespace Mgmt.Api;

/// <summary>Disposable VMs: made for one use, and removed when it is over.</summary>
public sealed class DisposableCalls(DisposableVms disposables, DisposablePreloader preloader) : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("vm.CreateDisposable", CallTarget.Any, CallAccess.Write, CallScope.Host, ArgumentRule.Optional("`preload`"), PayloadRule.Optional("`uuid`"), CallDialects.Both,
            "Makes a disposable VM from the VM called, or, called on dom0, from the caller's default_dispvm; it is removed when its run is over. One that was made ahead is handed out if there is one; preload makes as many ahead as the feature preload-dispvm-max says.", Create)
        {
            Returns = "its name; with `uuid`: `uuid:<uuid>`; with preload nothing",
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
        var from = call.Target.Class == VmClass.AdminVM ? disposables.DefaultOf(call.State, call.Source) : call.Target;
        switch (call.Argument)
        {
            case "":
                var made = await disposables.CreateAsync(from, call.Source, cancellation);
                return Content.Text(wantsUuid ? $"uuid:{made.Uuid:D}" : made.Name.Value);
            case "preload":
                await preloader.FillAsync(from, cancellation);
                return Content.Empty;
            default:
                throw new MgmtException(ErrorCode.ProtocolError, "the argument is empty or preload");
        }
    }
}
