using System.Net.Sockets;
using Mgmt.Api;
using Microsoft.Extensions.Logging;

namespace Mgmt.Daemon;

/// <summary>
/// One of the sockets of qrexec's policy daemon: a request per connection, read to its end, answered, closed. Whatever is wrong with a request, or with who sends
/// it, is closed without an answer; qrexec-daemon then asks its qrexec-policy-exec, if it finds one, and refuses. SOURCE: docs/policy.md, "For a qrexec front end".
/// </summary>
internal sealed class FrontEndSocket(string service, ServerSocket socket, IFrontEndService answers, PeerIdentity peers, HangupSweeper sweeper, TimeSpan deadline, ILogger<FrontEndSocket> log) : IDisposable
{
    /// <summary>A service and its argument have at most 65 000 bytes.</summary>
    private const int MostBytes = 66_000;
    private const int MostConnections = 256;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    public void Dispose() => socket.Dispose();

    /// <summary>Serves until the token ends, and with it what waits.</summary>
    internal async Task RunAsync(CancellationToken stopping)
    {
        var serving = new HashSet<Task>();
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                var accepted = new PeerSocket(await socket.Socket.AcceptAsync(stopping));
                serving.RemoveWhere(task => task.IsCompleted);
                if (serving.Count >= MostConnections)
                {
                    Log.QrexecRefused(log, service, "too many connections");
                    accepted.Dispose();
                    continue;
                }
                serving.Add(Task.Run(() => ServeAsync(accepted, stopping), CancellationToken.None));
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (SocketException error)
            {
                // Out of descriptors, say.
                Log.AcceptFailed(log, error);
                await Task.Delay(Pause, CancellationToken.None);
            }
        }
        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(PeerSocket accepted, CancellationToken stopping)
    {
        try
        {
            var caller = peers.Of(accepted);
            if (caller.Role is not (CallerRole.Any or CallerRole.VmFrontEnd))
            {
                throw new FormatException($"user {caller.Uid} is no front end");
            }
            var request = await ReadAsync(accepted, stopping);
            using var gone = new CancellationTokenSource();
            using (sweeper.Watch(accepted, gone))
            using (stopping.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), gone))
            {
                await SendAsync(accepted, await answers.AnswerAsync(request, caller, gone.Token), stopping);
            }
        }
        catch (FormatException error)
        {
            Log.QrexecRefused(log, service, error.Message);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            Log.ConnectionLost(log, error.Message);
        }
        catch (Exception error)
        {
            Log.QrexecFailed(log, service, error);
        }
        finally
        {
            accepted.Dispose();
        }
    }

    /// <summary>ERRORS: FormatException, also when the end does not come.</summary>
    private async Task<ReadOnlyMemory<byte>> ReadAsync(PeerSocket accepted, CancellationToken stopping)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        limit.CancelAfter(deadline);
        var buffer = new byte[512];
        var filled = 0;
        try
        {
            while (!answers.IsWhole(buffer.AsSpan(0, filled)))
            {
                if (filled == buffer.Length)
                {
                    Array.Resize(ref buffer, filled < MostBytes ? Math.Min(MostBytes, 2 * filled) : throw new FormatException("too long"));
                }
                var read = await accepted.ReceiveAsync(buffer.AsMemory(filled), limit.Token);
                if (read == 0)
                {
                    break;
                }
                filled += read;
            }
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            throw new FormatException("no end of the request in time");
        }
        return buffer.AsMemory(0, filled);
    }

    private async Task SendAsync(PeerSocket accepted, ReadOnlyMemory<byte> answer, CancellationToken stopping)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        limit.CancelAfter(deadline);
        await accepted.SendAsync(answer, limit.Token);
        accepted.EndSending();
    }
}

/// <summary>What is said on such a socket.</summary>
internal interface IFrontEndService
{
    /// <summary>Whether nothing can follow; else the request ends with the input.</summary>
    bool IsWhole(ReadOnlySpan<byte> received);

    /// <summary>The answer. ERRORS: FormatException for a request that gets none.</summary>
    Task<ReadOnlyMemory<byte>> AnswerAsync(ReadOnlyMemory<byte> request, Caller caller, CancellationToken cancellation);
}
