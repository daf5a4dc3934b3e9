using Mgmt.Core;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>What is made of the news that a port was closed.</summary>
public sealed class GuestPortSetTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_close_of_unknown_time_is_believed_when_the_port_is_still_closed(bool isOpenAgain)
    {
        await using var served = await Served.StartAsync(isOpenAgain);
        Assert.That(served.States, Is.EqualTo(new[] { new PortState(true, false, null) }));
        await served.Ports.Peer.SayAsync(PortPeer.Call);
        var call = await served.CallAsync();
        // Whoever calls has it open, whatever was told of it.
        Assert.That(served.States, Is.EqualTo(new[] { new PortState(true, true, call) }));
        served.Ports.Change(isOpen: false, at: null);
        await served.UntilAsync(() => served.Ports.Asked.Task.IsCompleted);
        if (!isOpenAgain)
        {
            await served.GoneAsync(call);
        }
        Assert.That(call.Gone.IsCancellationRequested, Is.EqualTo(!isOpenAgain));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_call_that_began_before_a_change_is_over_though_the_mark_of_the_next_one_is_behind_its_input(bool isOpen)
    {
        await using var served = await Served.StartAsync(isOpen: true);
        await served.Ports.Peer.SayAsync(PortPeer.Call);
        var call = await served.CallAsync();
        // More than is kept for it, so that the port is not read any more.
        var filling = served.Ports.Peer.SayAsync([.. Enumerable.Repeat(Messages.Of(MessageType.DataStdin, new byte[65_536]), 64)]);
        served.Time.Advance(5);
        served.Ports.Change(isOpen, served.Time.GetUtcNow());
        await served.GoneAsync(call);
        await filling;
        await served.Ports.Peer.SayAsync(PortPeer.Call);
        Assert.That(await served.CallAsync(), Is.Not.SameAs(call));
    }

    [Test]
    public async Task A_change_from_before_a_call_says_nothing_of_it()
    {
        await using var served = await Served.StartAsync(isOpen: true);
        var before = served.Time.GetUtcNow();
        served.Time.Advance(5);
        await served.Ports.Peer.SayAsync(PortPeer.Call);
        var call = await served.CallAsync();
        served.Ports.Change(isOpen: true, before);
        served.Ports.Change(isOpen: false, before);
        await served.UntilAsync(() => served.Ports.Asked.Task.IsCompleted);
        Assert.That(call.Gone.IsCancellationRequested, Is.False);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_call_that_waited_in_the_port_is_served_and_its_caller_asked_after(bool isStillThere)
    {
        await using var served = await Served.StartAsync(isStillThere, PortPeer.Call);
        await served.Ports.Peer.HearAsync(PortPeer.Greeting);
        var call = await served.CallAsync();
        await served.UntilAsync(() => served.Ports.Asked.Task.IsCompleted);
        if (!isStillThere)
        {
            await served.GoneAsync(call);
        }
        Assert.That(call.Gone.IsCancellationRequested, Is.EqualTo(!isStillThere));
    }

    /// <summary>A set with one port, and the calls that come on it.</summary>
    private sealed class Served : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly GuestPortSet _set;
        private readonly Task _running;

        private Served(bool isOpen, byte[]? waiting)
        {
            Ports = new() { IsOpen = isOpen, Waiting = waiting };
            _set = new("a vm", Ports, Handler, new PortLimits(), Time, NullLogger.Instance);
            _running = _set.RunAsync(_stop.Token);
        }

        public Ports Ports { get; }

        public ManualTime Time { get; } = new();

        public IEnumerable<PortState> States => _set.States;

        private Handler Handler { get; } = new();

        /// <summary>With a connection that is new, or with one that was kept and has something waiting in it.</summary>
        public static async Task<Served> StartAsync(bool isOpen, byte[]? waiting = null)
        {
            var served = new Served(isOpen, waiting);
            await (waiting is null ? served.Ports.Peer.AcceptAsync() : served.Ports.Connected.Task.WaitAsync(Deadline));
            return served;
        }

        public async Task<GuestCall> CallAsync()
        {
            using var limit = new CancellationTokenSource(Deadline);
            return await Handler.Calls.Reader.ReadAsync(limit.Token);
        }

        public Task GoneAsync(GuestCall call) => UntilAsync(() => call.Gone.IsCancellationRequested);

        public async Task UntilAsync(Func<bool> condition)
        {
            using var limit = new CancellationTokenSource(Deadline);
            while (!condition())
            {
                Time.Advance(100);
                await Task.Delay(1, limit.Token);
            }
        }

        public async ValueTask DisposeAsync()
        {
            Handler.Done.TrySetResult();
            await _stop.CancelAsync();
            await _running.WaitAsync(Deadline);
            _stop.Dispose();
            Ports.Dispose();
        }
    }

    private sealed class Handler : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        public System.Threading.Channels.Channel<GuestCall> Calls { get; } = System.Threading.Channels.Channel.CreateUnbounded<GuestCall>();

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task ServeAsync(GuestCall call, CancellationToken cancellation)
        {
            Calls.Writer.TryWrite(call);
            return Done.Task;
        }
    }

    private sealed class Ports : IGuestPorts, IDisposable
    {
        public event Action<GuestPortChange>? Changed;

        public PortPeer Peer { get; } = new();

        public bool IsOpen { get; init; }

        public byte[]? Waiting { get; init; }

        public TaskCompletionSource Connected { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Count => 1;

        public int AgentCount => 0;

        public void Change(bool isOpen, DateTimeOffset? at) => Changed?.Invoke(new(0, isOpen, at));

        public async Task<Stream> ConnectAsync(int port, CancellationToken cancellation)
        {
            var stream = await Peer.ConnectAsync(cancellation);
            if (Waiting is not null)
            {
                await Peer.AcceptRawAsync();
                await Peer.SayAsync(Waiting);
            }
            Connected.TrySetResult();
            return stream;
        }

        public Task<Stream> ConnectAgentAsync(int port, CancellationToken cancellation) => throw new NotSupportedException();

        public Task<bool> IsOpenAsync(int port, CancellationToken cancellation)
        {
            Asked.TrySetResult();
            return Task.FromResult(IsOpen);
        }

        bool? IGuestPorts.IsOpen(int port) => false;

        public void Dispose() => Peer.Dispose();
    }
}
