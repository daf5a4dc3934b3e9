using System.Net.Sockets;
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
        var socket = await ConnectAsync(cancellationToken);
        try
        {
            using (var deadline = new IdleTimer(IdleDeadline, Time, cancellationToken))
            {
                await deadline.Guard(async () =>
                {
                    await SendAllAsync(socket, Head(header, payload.Span), deadline);
                    if (endInput)
                    {
                        socket.Shutdown(SocketShutdown.Send);
                    }
                    await BeginAsync(socket, deadline);
                    return true;
                });
            }
            return new CallStream(socket);
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new MgmtException(error, ErrorCode.MgmtUnavailableError, "The connection to the daemon broke: %s", error.Message);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Reads the mark of OK, or the refusal.</summary>
    private async Task BeginAsync(Socket socket, IdleTimer deadline)
    {
        var mark = new byte[MarkBytes];
        var filled = 0;
        while (filled < MarkBytes && await ReceiveAsync(socket, mark.AsMemory(filled), deadline) is > 0 and var n)
        {
            filled += n;
        }
        if (mark[0] != (byte)'0' || filled < MarkBytes || mark[1] != 0)
        {
            throw await RefusalAsync(socket, mark.AsMemory(0, filled), deadline);
        }
    }
}
