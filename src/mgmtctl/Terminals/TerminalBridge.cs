using System.Globalization;
using System.Text;
using Mgmt.Cli.Formats;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Terminals;

/// <summary>Joins this terminal, or this input and output, with one that the daemon serves in frames.</summary>
internal sealed class TerminalBridge(Run run, FramedCall call)
{
    private const byte Detach = 0x1D; // Ctrl-]
    private const int InputBytes = 16 * 1024;

    /// <summary>Whether people are told what the other terminal is called.</summary>
    public bool TellPath { get; init; }

    /// <summary>Runs until the other end is over, or Ctrl-] is pressed. The exit status, null when there is none. Input that is null is at its end.</summary>
    public async Task<int?> RunAsync(bool interactive, Stream? input, CancellationToken cancellationToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var keys = interactive ? run.Terminal.OpenRawKeys() : null;
        using var resize = interactive ? run.Terminal.OnResize(() => _ = SendSizeAsync(over.Token)) : null;
        var sending = SendAsync(keys ?? input, interactive, over);
        try
        {
            return await ShowAsync(over.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null; // detached
        }
        finally
        {
            await over.CancelAsync();
            await sending;
        }
    }

    private async Task<int?> ShowAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var frame = await call.ReadAsync(cancellationToken);
            switch (frame.Type)
            {
                case ContentFrame.Data:
                    await run.Terminal.Out.WriteAsync(frame.Bytes, cancellationToken);
                    await run.Terminal.Out.FlushAsync(cancellationToken);
                    break;
                case ContentFrame.Start when TellPath:
                    run.Tell(KeyValues.OfLines(Encoding.UTF8.GetString(frame.Bytes.Span)).Find("terminal"));
                    break;
                case ContentFrame.End:
                    var facts = KeyValues.OfLines(Encoding.UTF8.GetString(frame.Bytes.Span));
                    Explain(facts.Find("reason"));
                    return int.TryParse(facts.Find("status"), NumberStyles.None, CultureInfo.InvariantCulture, out var status) ? status : null;
            }
        }
    }

    private void Explain(string reason)
    {
        if (reason == "not-started")
        {
            run.Tell("nothing in the container opened the terminal; the container's journal says why");
        }
    }

    private async Task SendAsync(Stream? input, bool interactive, CancellationTokenSource over)
    {
        var buffer = new byte[InputBytes];
        try
        {
            for (int n; input is not null && (n = await input.ReadAsync(buffer, over.Token)) > 0;)
            {
                var end = interactive ? buffer.AsSpan(0, n).IndexOf(Detach) : -1;
                await call.SendAsync(new ContentFrame(ContentFrame.Data, buffer.AsMemory(0, end < 0 ? n : end)), over.Token);
                if (end >= 0)
                {
                    await over.CancelAsync();
                    return;
                }
            }
            call.EndInput();
        }
        catch (OperationCanceledException)
        {
            // The other end is over.
        }
    }

    private async Task SendSizeAsync(CancellationToken cancellationToken)
    {
        try
        {
            var (rows, columns) = run.Terminal.Size();
            await call.SendAsync(ContentFrame.OfWindow(rows, columns), cancellationToken);
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // Over.
        }
    }
}
