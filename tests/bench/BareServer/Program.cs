// The plainest C# server of the pattern: AcceptAsync, the accepted socket to the pool, read to the end, answer a constant, close.
// What mgmtd does beyond this (who calls, the policy, the audit line) is its own cost.
using System.Buffers;
using System.Net.Sockets;

var path = args.Length == 1 ? args[0] : throw new ArgumentException("usage: bare-server SOCKET_PATH");
File.Delete(path);
using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
listener.Bind(new UnixDomainSocketEndPoint(path));
listener.Listen(4096);
while (true)
{
    var accepted = await listener.AcceptAsync();
    ThreadPool.UnsafeQueueUserWorkItem(static socket => _ = Answer.ServeAsync(socket), accepted, preferLocal: false);
}

internal static class Answer
{
    private static readonly byte[] Reply = "0\0default=yes type=int 400"u8.ToArray();

    internal static async Task ServeAsync(Socket socket)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(4096);
        try
        {
            while (await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None) > 0)
            {
            }
            await socket.SendAsync(Reply.AsMemory(), SocketFlags.None);
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The client went away; the next one counts.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            socket.Dispose();
        }
    }
}
