namespace Mgmt.Cli.Terminals;

/// <summary>Joins this terminal, or this input and output, with one that the daemon serves. How its bytes go over is said by those who derive from it.</summary>
internal abstract class TerminalBridge(Run run)
{
    private const byte Detach = 0x1D; // Ctrl-]
    private const int InputBytes = 16 * 1024;

    /// <summary>Whose terminal this is.</summary>
    protected Run Here => run;

    /// <summary>
    /// Runs until the other end is over, or Ctrl-] is pressed. The exit status, null when there is none. <paramref name="byKeys"/>: every key of this terminal goes over as it is; otherwise
    /// <paramref name="input"/>, null when there is none.
    /// </summary>
    public async Task<int?> RunAsync(bool byKeys, Stream? input, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var keys = byKeys ? run.Terminal.OpenRawKeys() : null;
        using var resize = byKeys ? FollowSize(over.Token) : null;
        var typing = TypeAsync(keys ?? input, byKeys, over);
        try
        {
            return await ShowAsync(over.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null; // left
        }
        finally
        {
            await over.CancelAsync();
            await typing;
        }
    }

    /// <summary>Prints what the other end says, to its end.</summary>
    protected abstract Task<int?> ShowAsync(CancellationToken cancellationToken);

    /// <summary>Sends what was typed. ERRORS: IOException when the other end takes no more.</summary>
    protected abstract Task SendAsync(ReadOnlyMemory<byte> typed, CancellationToken cancellationToken);

    /// <summary>Says that nothing more is typed.</summary>
    protected abstract void EndInput();

    /// <summary>Tells the other end of a new size of this terminal until what it gives is disposed; null where nobody wants to know.</summary>
    protected virtual IDisposable? FollowSize(CancellationToken cancellationToken) => null;

    /// <summary>As it is: it is the other end that has this terminal.</summary>
    protected async Task PrintAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await run.Terminal.Out.WriteAsync(bytes, cancellationToken);
        await run.Terminal.Out.FlushAsync(cancellationToken);
    }

    /// <summary>Hands on what is typed, up to the key that leaves. The end of a pipe does not leave: what is printed is still wanted. Never throws.</summary>
    private async Task TypeAsync(Stream? input, bool byKeys, CancellationTokenSource over)
    {
        var buffer = new byte[InputBytes];
        try
        {
            for (int n; input is not null && (n = await input.ReadAsync(buffer, over.Token)) > 0;)
            {
                var leave = byKeys ? buffer.AsSpan(0, n).IndexOf(Detach) : -1;
                await SendAsync(buffer.AsMemory(0, leave < 0 ? n : leave), over.Token);
                if (leave >= 0)
                {
                    break;
                }
            }
            if (byKeys)
            {
                await over.CancelAsync();
                return;
            }
            EndInput();
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            // The other end is over.
        }
    }
}
