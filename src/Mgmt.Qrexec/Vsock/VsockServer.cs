using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Mgmt.Qrexec;

/// <summary>
/// Calls of guests over vsock: a stream per call, in which a conversation is that of a port. A CID is a VM only as long as it is registered, which is as long as the VM's process lives: the
/// kernel gives it to another one after that. SOURCE: docs/guest-channels.md.
/// </summary>
public sealed class VsockServer(IVsockListener listener, int maxStreams, PortLimits limits, TimeProvider clock, ILogger log)
{
    private readonly ConcurrentDictionary<uint, Guest> _guests = new();

    /// <summary>
    /// From now on the CID is that VM; disposing ends that, and its streams. The kernel gives a CID to one process at a time, so that whoever had it before is gone, and its streams end.
    /// </summary>
    public IDisposable Register(uint cid, string vm, IGuestCallHandler handler)
    {
        var guest = new Guest(this, cid, vm, handler);
        if (_guests.TryGetValue(cid, out var earlier))
        {
            earlier.Dispose();
        }
        _guests[cid] = guest;
        return guest;
    }

    /// <summary>Serves until the token ends, then waits for the calls under way.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        var serving = new HashSet<Task>();
        try
        {
            while (true)
            {
                var (cid, stream) = await listener.AcceptAsync(stopping);
                serving.RemoveWhere(task => task.IsCompleted);
                if (!_guests.TryGetValue(cid, out var guest) || !guest.TryEnter(maxStreams))
                {
                    Log.ChannelLost(log, $"vsock CID {cid}", guest is null ? "no VM of ours" : "too many streams");
                    await stream.DisposeAsync();
                    continue;
                }
                serving.Add(Task.Run(() => ServeAsync(guest, stream, stopping), CancellationToken.None));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            Log.ChannelLost(log, "vsock", error.Message);
        }
        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(Guest guest, Stream stream, CancellationToken stopping)
    {
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, guest.Gone);
            await new GuestPort($"{guest.Vm} vsock", "vsock", guest.Handler, limits, clock, log).ServeOnceAsync(stream, either.Token);
        }
        finally
        {
            guest.Leave();
        }
    }

    private sealed class Guest(VsockServer server, uint cid, string vm, IGuestCallHandler handler) : IDisposable
    {
        private readonly CancellationTokenSource _gone = new();
        private int _streams;

        internal string Vm => vm;

        internal IGuestCallHandler Handler => handler;

        internal CancellationToken Gone => _gone.Token;

        internal bool TryEnter(int max)
        {
            if (Interlocked.Increment(ref _streams) <= max)
            {
                return true;
            }
            Leave();
            return false;
        }

        internal void Leave() => Interlocked.Decrement(ref _streams);

        public void Dispose()
        {
            server._guests.TryRemove(new(cid, this));
            _gone.Cancel();
        }
    }
}
