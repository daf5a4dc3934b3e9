using Mgmt.Core;

namespace Mgmt.Wire;

public sealed partial class MgmtClient
{
    private const int MarkBytes = 2;

    /// <summary>
    /// Makes a call whose content comes while it is made (docs/wire.md, "Contents that are sent while they are made"). <paramref name="payload"/> goes out at once; without <paramref name="endInput"/> the
    /// caller sends more. Gives it when the daemon has taken the call. ERRORS: what the daemon refuses, by its type; MgmtUnavailableError; ProtocolError.
    /// </summary>
    public async Task<CallStream> OpenAsync(RequestHeader header, ReadOnlyMemory<byte> payload, bool endInput, CancellationToken cancellationToken)
    {
        var connection = await ConnectAsync(header, cancellationToken);
        try
        {
            using (var deadline = new IdleTimer(IdleDeadline, Time, cancellationToken))
            {
                await deadline.Guard(async () =>
                {
                    await TrySendAllAsync(connection, Join(connection.Head, payload), deadline);
                    if (endInput)
                    {
                        connection.EndInput();
                    }
                    await BeginAsync(connection, deadline);
                    return true;
                });
            }
            return new CallStream(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Reads the mark of OK, or the refusal.</summary>
    private async Task BeginAsync(CallConnection connection, IdleTimer deadline)
    {
        var mark = new byte[MarkBytes];
        var filled = 0;
        while (filled < MarkBytes && await ReceiveAsync(connection, mark.AsMemory(filled), deadline) is > 0 and var n)
        {
            filled += n;
        }
        if (mark[0] != (byte)'0' || filled < MarkBytes || mark[1] != 0)
        {
            throw await RefusalAsync(connection, mark.AsMemory(0, filled), deadline);
        }
    }
}
