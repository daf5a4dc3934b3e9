using System.IO.Pipelines;

namespace Mgmt.Api;

/// <summary>The serial console, both ways. SOURCE: docs/guest-agent.md, "Console".</summary>
public sealed class ConsoleCalls(LifecycleServices services) : ICallGroup
{
    private const int ChunkBytes = 16 * 1024;

    /// <inheritdoc/>
    public IEnumerable<CallRow> Rows =>
    [
        // Of the host: whoever has a console may find somebody logged in there.
        new("vm.Console", CallTarget.Vm, CallAccess.Execute, CallScope.Host, ArgumentRule.None, PayloadRule.Streamed("what is typed"), CallDialects.Both,
            "The serial console: what a VM printed last, up to 64 KiB, then what it prints, until the caller or the VM ends. One caller at a time.", ConsoleAsync)
            { Returns = "what is printed, as it is", Content = ContentKind.Bytes, IsInteractive = true, IsCancellable = true },
    ];

    private async ValueTask<ReadOnlyMemory<byte>> ConsoleAsync(CallContext call, CancellationToken cancellation)
    {
        if (call.Target.Status.State == VmState.Halted)
        {
            throw new MgmtException(ErrorCode.QubesVMNotStartedError, "Domain is powered off: '%s'", call.Target.Name.Value);
        }
        var session = services.Sessions.Get(call.Target.Name);
        await using var console = await session.Vm.OpenConsoleAsync(cancellation);
        await call.Output!.SendAsync(default, cancellation);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var typing = TypeAsync(call.PayloadStream!, console, over.Token);
        try
        {
            await PrintAsync(console, call.Output!, over.Token);
        }
        catch (IOException)
        {
            // The VM is gone.
        }
        finally
        {
            await over.CancelAsync();
            await typing;
        }
        return Content.Empty;
    }

    private static async Task PrintAsync(Stream console, IContentSink output, CancellationToken cancellation)
    {
        var buffer = new byte[ChunkBytes];
        for (int n; (n = await console.ReadAsync(buffer, cancellation)) > 0;)
        {
            await output.SendAsync(buffer.AsMemory(0, n), cancellation);
        }
    }

    /// <summary>To the end of what is typed; the caller may go on looking after that. Never throws.</summary>
    private static async Task TypeAsync(PipeReader typed, Stream console, CancellationToken cancellation)
    {
        try
        {
            await typed.CopyToAsync(console, cancellation);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or MgmtException)
        {
            // The console, the VM or the caller ended.
        }
    }
}
