using System.Net.Sockets;
using Mgmt.Core;

namespace Mgmt.Wire;

public sealed partial class MgmtClient
{
    /// <summary>
    /// Makes a call whose payload and answer go on at the same time, such as vm.Console. What is given back reads the content as it comes, and takes the payload; it has no deadlines.
    /// ERRORS: what the daemon refuses, by its type; MgmtUnavailableError; MgmtTimeoutError; ProtocolError.
    /// </summary>
    public async Task<Stream> DuplexAsync(RequestHeader header, CancellationToken cancellationToken)
    {
        var head = Head(header, []);
        var socket = await ConnectAsync(cancellationToken);
        try
        {
            using var deadline = new IdleTimer(IdleDeadline, Time, cancellationToken);
            await deadline.Guard(async () =>
            {
                await SendAllAsync(socket, head, deadline);
                var begun = new byte[2];
                for (int got = 0, n; got < begun.Length; got += n)
                {
                    n = await ReceiveAsync(socket, begun.AsMemory(got), deadline);
                    if (n == 0 || (got + n == begun.Length && begun is not [(byte)'0', 0]))
                    {
                        throw await RefusalAsync(socket, begun.AsMemory(0, got + n), deadline);
                    }
                }
                return true;
            });
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
