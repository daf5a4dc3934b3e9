using Mgmt.Wire;

namespace Mgmt.Cli.Terminals;

/// <summary>A terminal that is a serial line: bytes both ways and nothing else.</summary>
internal sealed class PlainBridge(Run run, CallStream call) : TerminalBridge(run)
{
    private const int ChunkBytes = 16 * 1024;

    protected override async Task<int?> ShowAsync(CancellationToken cancellationToken)
    {
        var buffer = new byte[ChunkBytes];
        for (int n; (n = await call.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            await PrintAsync(buffer.AsMemory(0, n), cancellationToken);
        }
        return null;
    }

    protected override Task SendAsync(ReadOnlyMemory<byte> typed, CancellationToken cancellationToken) => call.WriteAsync(typed, cancellationToken).AsTask();

    protected override void EndInput() => call.EndInput();
}
