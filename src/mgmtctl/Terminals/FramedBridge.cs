using System.Globalization;
using System.Text;
using Mgmt.Cli.Formats;
using Mgmt.Core;
using Mgmt.Wire;

namespace Mgmt.Cli.Terminals;

/// <summary>A terminal that comes in frames: it has a size, and its last frame may have an exit status.</summary>
internal sealed class FramedBridge(Run run, FramedCall call) : TerminalBridge(run)
{
    /// <summary>Whether people are told what the other terminal is called.</summary>
    public bool TellPath { get; init; }

    protected override async Task<int?> ShowAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var frame = await call.ReadAsync(cancellationToken);
            switch (frame.Type)
            {
                case ContentFrame.Data:
                    await PrintAsync(frame.Bytes, cancellationToken);
                    break;
                case ContentFrame.Start when TellPath:
                    Here.Tell(KeyValues.OfLines(Encoding.UTF8.GetString(frame.Bytes.Span)).Find("terminal"));
                    break;
                case ContentFrame.End:
                    var facts = KeyValues.OfLines(Encoding.UTF8.GetString(frame.Bytes.Span));
                    Explain(facts.Find("reason"));
                    return int.TryParse(facts.Find("status"), NumberStyles.None, CultureInfo.InvariantCulture, out var status) ? status : null;
            }
        }
    }

    protected override Task SendAsync(ReadOnlyMemory<byte> typed, CancellationToken cancellationToken) => call.SendAsync(new ContentFrame(ContentFrame.Data, typed), cancellationToken);

    protected override void EndInput() => call.EndInput();

    protected override IDisposable FollowSize(CancellationToken cancellationToken) => Here.Terminal.OnResize(() => _ = SendSizeAsync(cancellationToken));

    private void Explain(string reason)
    {
        if (reason == "not-started")
        {
            Here.Tell("nothing in the container opened the terminal; the container's journal says why");
        }
    }

    private async Task SendSizeAsync(CancellationToken cancellationToken)
    {
        try
        {
            var (rows, columns) = Here.Terminal.Size();
            await call.SendAsync(ContentFrame.OfWindow(rows, columns), cancellationToken);
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // Over.
        }
    }
}
