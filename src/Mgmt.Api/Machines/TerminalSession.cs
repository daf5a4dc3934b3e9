using System.IO.Pipelines;
using System.Text;

namespace Mgmt.Api;

/// <summary>One terminal between a container and a caller: frames both ways, until the terminal ends or the caller goes away.</summary>
internal sealed class TerminalSession(IMachineTerminal terminal, ExitStatusScanner? status, PipeReader input, IContentSink output)
{
    private const byte EndOfTransmission = 4;
    private bool _atLineStart = true;

    /// <summary>Runs to the end, which is the last frame. Throws OperationCanceledException when the caller is gone.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        await SendAsync(ContentFrame.Start, Encoding.UTF8.GetBytes($"terminal={terminal.Path}\n"), cancellation);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var typing = TypeAsync(over.Token);
        var reason = "exit";
        try
        {
            var showing = ShowAsync(over.Token);
            // Input that is no frame ends it all; input that merely ends does not.
            if (await Task.WhenAny(showing, typing) == typing && await typing is { } wrong)
            {
                reason = wrong;
                await over.CancelAsync();
                await showing.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }
            else
            {
                await showing;
            }
        }
        finally
        {
            await over.CancelAsync();
            await typing;
        }
        reason = reason == "exit" && !terminal.WasOpened ? "not-started" : reason;
        var ending = status?.Status is { } code ? $"reason={reason}\nstatus={code}\n" : $"reason={reason}\n";
        await SendAsync(ContentFrame.End, Encoding.ASCII.GetBytes(ending), cancellation);
    }

    private async Task ShowAsync(CancellationToken cancellation)
    {
        while (await terminal.ReadAsync(cancellation) is { IsEmpty: false } chunk)
        {
            await SendDataAsync(status?.Take(chunk) ?? chunk, cancellation);
        }
        await SendDataAsync(status?.TakeRest() ?? default, cancellation);
    }

    /// <summary>What is typed, until its end. Gives what is wrong with it, null for nothing.</summary>
    private async Task<string?> TypeAsync(CancellationToken cancellation)
    {
        try
        {
            if (status is not null)
            {
                await status.Began.WaitAsync(cancellation);
            }
            while (await ContentFrame.ReadAsync(input, cancellation) is { } frame)
            {
                switch (frame.Type)
                {
                    case ContentFrame.Data:
                        await terminal.WriteAsync(frame.Bytes, cancellation);
                        _atLineStart = frame.Bytes.IsEmpty ? _atLineStart : frame.Bytes.Span[^1] is (byte)'\n' or (byte)'\r';
                        break;
                    case ContentFrame.Window when frame.WindowSize is { } size:
                        terminal.Resize(size.Rows, size.Columns);
                        break;
                    default:
                        return "protocol";
                }
            }
            // What ends a terminal's input is typed; in the middle of a line the first only hands the line over.
            await terminal.WriteAsync(_atLineStart ? new[] { EndOfTransmission } : new[] { EndOfTransmission, EndOfTransmission }, cancellation);
            return null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        catch (MgmtException error)
        {
            // A terminal that is closed has its end told by what it showed.
            return error.Code == ErrorCode.MgmtUnavailableError ? null : "protocol";
        }
    }

    private async ValueTask SendDataAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        for (; !bytes.IsEmpty; bytes = bytes[Math.Min(bytes.Length, ContentFrame.MaxBytes)..])
        {
            await SendAsync(ContentFrame.Data, bytes[..Math.Min(bytes.Length, ContentFrame.MaxBytes)], cancellation);
        }
    }

    private ValueTask SendAsync(byte type, ReadOnlyMemory<byte> bytes, CancellationToken cancellation) => output.SendAsync(new ContentFrame(type, bytes).ToArray(), cancellation);
}
