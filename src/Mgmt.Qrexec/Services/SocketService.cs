using System.Net.Sockets;
using System.Text;

namespace Mgmt.Qrexec;

/// <summary>A socket that serves a connection per call: the header, then the caller's input to its end; what it writes until its end is the output. It has no error output, and exits with 0.</summary>
internal sealed class SocketService(string path, ServiceRequest request, ServiceConfig config) : IService
{
    private const int BlockBytes = 32 * 1024;

    public async Task<int> RunAsync(GuestCall call, CancellationToken cancellation)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            if (!config.SkipDescriptor)
            {
                await SendAsync(socket, Encoding.UTF8.GetBytes(request.Header), cancellation);
            }
        }
        catch (SocketException error)
        {
            throw new IOException($"{path}: {error.Message}", error);
        }
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var feeding = FeedAsync(call, socket, over.Token);
        var answering = AnswerAsync(call, socket, over.Token);
        try
        {
            var first = await Task.WhenAny(feeding, answering);
            await first;
            if (first == feeding && !config.ExitOnClientEof)
            {
                await answering;
            }
            return 0;
        }
        finally
        {
            await over.CancelAsync();
            await Task.WhenAll(Quiet(feeding), Quiet(answering));
        }
    }

    /// <summary>The caller's input; a service that takes no more of it is not asked to.</summary>
    private static async Task FeedAsync(GuestCall call, Socket socket, CancellationToken cancellation)
    {
        var takes = true;
        while (true)
        {
            var read = await call.Input.ReadAsync(cancellation);
            foreach (var piece in read.Buffer)
            {
                takes = takes && await TrySendAsync(socket, piece, cancellation);
            }
            call.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }
        if (takes)
        {
            try
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // Gone already.
            }
        }
    }

    private static async Task AnswerAsync(GuestCall call, Socket socket, CancellationToken cancellation)
    {
        var block = new byte[BlockBytes];
        try
        {
            while (await socket.ReceiveAsync(block, cancellation) is var read and > 0)
            {
                await call.WriteAsync(block.AsMemory(0, read), cancellation);
            }
        }
        catch (SocketException)
        {
            // It closed with input unread: that was all.
        }
    }

    private static async ValueTask<bool> TrySendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        try
        {
            await SendAsync(socket, bytes, cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async ValueTask SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellation)..];
        }
    }

    private static async Task Quiet(Task task)
    {
        try
        {
            await task;
        }
        catch (OperationCanceledException)
        {
            // Told by the other one.
        }
    }
}
