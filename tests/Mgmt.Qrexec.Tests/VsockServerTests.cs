using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>Calls over vsock, with a double for the socket: the machines that this is built on have none.</summary>
public sealed class VsockServerTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [Test]
    public async Task A_stream_is_a_call_of_the_vm_whose_cid_it_has()
    {
        await using var host = new Host(maxStreams: 2);
        var (one, two) = (new Handler(), new Handler());
        using var first = host.Server.Register(3, "one", one);
        using var second = host.Server.Register(4, "two", two);
        using var peer = await host.ConnectAsync(4);
        await peer.SayAsync(PortPeer.Call);
        await peer.HearAsync(PortPeer.Greeting);
        var call = await two.NextAsync();
        Assert.That((call.Transport, call.Request.Service), Is.EqualTo(("vsock", "mgmt.vm.List")));
        await call.AcceptAsync(CancellationToken.None);
        await call.EndAsync("x"u8.ToArray(), 0, CancellationToken.None);
        Assert.That(one.Count, Is.Zero);
        two.Done.SetResult();
    }

    [Test]
    public async Task A_cid_that_is_nobodys_gets_nothing()
    {
        await using var host = new Host(maxStreams: 2);
        var handler = new Handler();
        host.Server.Register(3, "one", handler).Dispose();
        foreach (var cid in new uint[] { 3, 9 })
        {
            using var peer = await host.ConnectRawAsync(cid);
            await peer.EndAsync();
        }
        Assert.That(handler.Count, Is.Zero);
    }

    [Test]
    public async Task The_end_of_a_vm_ends_its_calls_and_frees_its_cid()
    {
        await using var host = new Host(maxStreams: 2);
        var handler = new Handler();
        var registered = host.Server.Register(3, "one", handler);
        using var peer = await host.ConnectAsync(3);
        await peer.SayAsync(PortPeer.Call);
        var call = await handler.NextAsync();
        registered.Dispose();
        handler.Done.SetResult();
        await peer.EndAsync();
        Assert.That(call.Gone.IsCancellationRequested);
        host.Server.Register(3, "two", handler).Dispose();
    }

    [Test]
    public async Task A_cid_is_the_vm_that_had_it_last()
    {
        await using var host = new Host(maxStreams: 2);
        var (one, two) = (new Handler(), new Handler());
        var first = host.Server.Register(3, "one", one);
        using var earlier = await host.ConnectAsync(3);
        using var second = host.Server.Register(3, "two", two);
        await earlier.EndAsync();
        // Its end is noticed late, and is not the end of the second one.
        first.Dispose();
        using var peer = await host.ConnectAsync(3);
        await peer.SayAsync(PortPeer.Call);
        await two.NextAsync();
        two.Done.SetResult();
        Assert.That(one.Count, Is.Zero);
    }

    [Test]
    public async Task A_vm_has_so_many_streams_and_no_more()
    {
        await using var host = new Host(maxStreams: 1);
        using var registered = host.Server.Register(3, "one", new Handler());
        using var first = await host.ConnectAsync(3);
        using var second = await host.ConnectRawAsync(3);
        await second.EndAsync();
        first.Connection.Dispose();
    }

    private sealed class Handler : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        private readonly Channel<GuestCall> _calls = Channel.CreateUnbounded<GuestCall>();

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Count => _calls.Reader.Count;

        public async Task<GuestCall> NextAsync()
        {
            using var limit = new CancellationTokenSource(Deadline);
            return await _calls.Reader.ReadAsync(limit.Token);
        }

        public Task ServeAsync(GuestCall call, CancellationToken cancellation)
        {
            _calls.Writer.TryWrite(call);
            return Done.Task;
        }
    }

    private sealed class Host : IVsockListener, IAsyncDisposable
    {
        private readonly Channel<(uint, Stream)> _streams = Channel.CreateUnbounded<(uint, Stream)>();
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public Host(int maxStreams)
        {
            Server = new VsockServer(this, maxStreams, new PortLimits(), TimeProvider.System, NullLogger.Instance);
            _running = Server.RunAsync(_stop.Token);
        }

        public VsockServer Server { get; }

        public async Task<(uint Cid, Stream Stream)> AcceptAsync(CancellationToken cancellation) => await _streams.Reader.ReadAsync(cancellation);

        public async Task<PortPeer> ConnectAsync(uint cid)
        {
            var (peer, accepting) = await OpenAsync(cid);
            await accepting();
            return peer;
        }

        /// <summary>A connection from which nothing is expected.</summary>
        public async Task<PortPeer> ConnectRawAsync(uint cid)
        {
            var (peer, _) = await OpenAsync(cid);
            await peer.AcceptRawAsync();
            return peer;
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running.WaitAsync(Deadline);
            _stop.Dispose();
        }

        private async Task<(PortPeer Peer, Func<Task> Accept)> OpenAsync(uint cid)
        {
            var peer = new PortPeer();
            _streams.Writer.TryWrite((cid, await peer.ConnectAsync(CancellationToken.None)));
            return (peer, peer.AcceptAsync);
        }
    }
}
