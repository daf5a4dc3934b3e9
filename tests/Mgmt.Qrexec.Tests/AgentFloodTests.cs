using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Qrexec.Tests;

/// <summary>An agent that calls faster than its calls end.</summary>
public sealed class AgentFloodTests
{
    private const int Limit = 2;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [Test]
    public async Task An_agent_with_so_many_calls_is_not_read_until_one_of_them_ends()
    {
        using var guest = new VchanGuest();
        using var directory = new VchanDirectory(guest.Path, TimeProvider.System);
        var handler = new Handler();
        using var stop = new CancellationTokenSource();
        var running = new AgentLink(7, "guest 7", directory, handler, new AgentLimits { Calls = Limit }, TimeProvider.System, NullLogger.Instance).RunAsync(stop.Token);
        var control = await guest.Listen(7, 512).AcceptAsync();
        await control.SayAsync(Messages.Hello(4));
        await control.HearAsync("00030000 04000000 04000000");
        var call = Messages.Of(MessageType.TriggerService4, Messages.Trigger4("", "dom0", "SOCKET13", "x"));
        var sent = await control.FillAsync(call, 4 << 20);
        Assert.That(sent, Is.LessThan(4 << 20), "it was read without end");
        Assert.That(handler.Most, Is.EqualTo(Limit));
        handler.Release.SetResult();
        await handler.ServedAsync(sent / call.Length);
        Assert.That(handler.Most, Is.LessThanOrEqualTo(Limit));
        await stop.CancelAsync();
        await running.WaitAsync(Deadline);
    }

    /// <summary>Holds the calls that come until it is told otherwise.</summary>
    private sealed class Handler : IGuestCallHandler
    {
        public GuestPace Pace { get; } = new(TimeProvider.System);

        private readonly SemaphoreSlim _served = new(0);
        private int _now;
        private int _most;

        public TaskCompletionSource Release { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The most at once.</summary>
        public int Most => Volatile.Read(ref _most);

        public async Task ServeAsync(GuestCall call, CancellationToken cancellation)
        {
            var now = Interlocked.Increment(ref _now);
            for (var most = Most; now > most && Interlocked.CompareExchange(ref _most, now, most) != most; most = Most)
            {
            }
            await Release.Task.WaitAsync(cancellation);
            Interlocked.Decrement(ref _now);
            _served.Release();
        }

        public async Task ServedAsync(int count)
        {
            using var limit = new CancellationTokenSource(Deadline);
            for (var i = 0; i < count; i++)
            {
                await _served.WaitAsync(limit.Token);
            }
        }
    }
}
