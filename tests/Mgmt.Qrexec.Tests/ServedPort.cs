using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>A port that is served, its peer, and the calls that come, each waiting for what the test does with it.</summary>
internal sealed class ServedPort : IGuestCallHandler, IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private readonly System.Threading.Channels.Channel<Served> _calls = System.Threading.Channels.Channel.CreateUnbounded<Served>();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    private ServedPort()
    {
        Pace = new(Time);
        Port = new GuestPort("a port", Peer.ConnectAsync, this, new PortLimits { InputBytes = 64 * 1024 }, Time, NullLogger.Instance);
        _running = Port.RunAsync(_stop.Token);
    }

    public GuestPace Pace { get; }

    internal PortPeer Peer { get; } = new();

    internal ManualTime Time { get; } = new();

    internal GuestPort Port { get; }

    internal static async Task<ServedPort> StartAsync()
    {
        var port = new ServedPort();
        await port.Peer.AcceptAsync();
        return port;
    }

    /// <summary>The next call.</summary>
    internal async Task<Served> NextAsync()
    {
        using var limit = new CancellationTokenSource(Deadline);
        return await _calls.Reader.ReadAsync(limit.Token);
    }

    public async Task ServeAsync(GuestCall call, CancellationToken cancellation)
    {
        var served = new Served(call);
        _calls.Writer.TryWrite(served);
        await served.Done.Task.WaitAsync(Deadline, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        while (_calls.Reader.TryRead(out var left))
        {
            left.Done.TrySetResult();
        }
        await _stop.CancelAsync();
        await _running.WaitAsync(Deadline);
        Peer.Dispose();
        _stop.Dispose();
    }

    /// <summary>A call that is served until Done is set.</summary>
    internal sealed record Served(GuestCall Call)
    {
        internal TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Waits until its caller is gone.</summary>
        internal async Task GoneAsync()
        {
            var gone = new TaskCompletionSource();
            await using var registered = Call.Gone.Register(() => gone.TrySetResult());
            await gone.Task.WaitAsync(Deadline);
        }

        /// <summary>All of its input.</summary>
        internal async Task<byte[]> InputAsync()
        {
            using var limit = new CancellationTokenSource(Deadline);
            var whole = new MemoryStream();
            while (true)
            {
                var read = await Call.Input.ReadAsync(limit.Token);
                foreach (var part in read.Buffer)
                {
                    whole.Write(part.Span);
                }
                Call.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    return whole.ToArray();
                }
            }
        }
    }
}
