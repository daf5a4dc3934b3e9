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
    public async Task A_close_is_believed_when_the_port_is_still_closed(bool isOpenAgain)
    {
        using var ports = new Ports { IsOpen = isOpenAgain };
        var handler = new Handler();
        var time = new ManualTime();
        using var stop = new CancellationTokenSource();
        var set = new GuestPortSet("a vm", ports, handler, new PortLimits(), time, NullLogger.Instance);
        Assert.That(set.States, Is.EqualTo(new[] { new PortState(false, false, null) }));
        var running = set.RunAsync(stop.Token);
        await ports.Peer.AcceptAsync();
        Assert.That(set.States, Is.EqualTo(new[] { new PortState(true, false, null) }));
        await ports.Peer.SayAsync(PortPeer.Call);
        var call = await handler.Came.Task.WaitAsync(Deadline);
        // Whoever calls has it open, whatever was told of it.
        Assert.That(set.States, Is.EqualTo(new[] { new PortState(true, true, call) }));
        ports.Close();
        while (!ports.Asked.Task.IsCompleted)
        {
            time.Advance(1000);
            await Task.WhenAny(ports.Asked.Task, Task.Delay(1));
        }
        if (!isOpenAgain)
        {
            var gone = new TaskCompletionSource();
            await using var registered = call.Gone.Register(() => gone.TrySetResult());
            await gone.Task.WaitAsync(Deadline);
        }
        Assert.That(call.Gone.IsCancellationRequested, Is.EqualTo(!isOpenAgain));
        handler.Done.SetResult();
        await stop.CancelAsync();
        await running.WaitAsync(Deadline);
    }

    private sealed class Handler : IGuestCallHandler
    {
        public TaskCompletionSource<GuestCall> Came { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task ServeAsync(GuestCall call, CancellationToken cancellation)
        {
            Came.TrySetResult(call);
            return Done.Task;
        }
    }

    private sealed class Ports : IGuestPorts, IDisposable
    {
        public event Action<int>? MaybeClosed;

        public PortPeer Peer { get; } = new();

        public bool IsOpen { get; init; }

        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int Count => 1;

        public int AgentCount => 0;

        public void Close() => MaybeClosed?.Invoke(0);

        public Task<Stream> ConnectAsync(int port, CancellationToken cancellation) => Peer.ConnectAsync(cancellation);

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
