namespace Mgmt.Api;

/// <summary>Backups, which are not built yet. The calls are there so that a client is told so, and not that it speaks to a strange daemon.</summary>
public sealed class BackupCalls : ICallGroup
{
    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        new("backup.Info", CallTarget.Dom0, CallAccess.Read, CallScope.Vm, ArgumentRule.Required("profile"), PayloadRule.None, CallDialects.Both,
            "What a backup would hold. Not built yet: refused.", Info) { Returns = "text" },
        new("backup.Execute", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("profile"), PayloadRule.None, CallDialects.Both,
            "Makes a backup. Not built yet: refused.", Execute),
        new("backup.Cancel", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("profile"), PayloadRule.None, CallDialects.Both,
            "Ends a backup under way. Not built yet: refused.", Cancel),
        new("backup.Restore", CallTarget.Dom0, CallAccess.Execute, CallScope.Host, ArgumentRule.Required("profile"), PayloadRule.None, CallDialects.Mgmt,
            "Restores a backup. Not built yet: refused.", Restore),
    ];

    private ValueTask<ReadOnlyMemory<byte>> Info(CallContext call, CancellationToken cancellation) => throw NotBuilt();

    private ValueTask<ReadOnlyMemory<byte>> Execute(CallContext call, CancellationToken cancellation) => throw NotBuilt();

    private ValueTask<ReadOnlyMemory<byte>> Cancel(CallContext call, CancellationToken cancellation) => throw NotBuilt();

    private ValueTask<ReadOnlyMemory<byte>> Restore(CallContext call, CancellationToken cancellation) => throw NotBuilt();

    private static MgmtException NotBuilt() => new(ErrorCode.QubesNotImplementedError, "Backups are not built yet");
}
