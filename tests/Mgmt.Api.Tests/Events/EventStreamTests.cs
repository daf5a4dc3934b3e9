using Mgmt.Testing;
using System.Collections.Concurrent;
using Mgmt.Core;

namespace Mgmt.Api.Tests.Events;

public sealed class EventStreamTests
{
    private static Task Emit(Daemon daemon, string name) => daemon.Store.ApplyAsync(c => c.Emit(MgmtEvent.Of(Daemon.Name("work"), name)), CancellationToken.None);

    [Test]
    public async Task Replay_and_live_have_no_gap_and_no_duplicate()
    {
        await using var daemon = await Daemon.OpenAsync();
        var since = daemon.Store.Journal.Newest;
        var writer = Task.Run(async () =>
        {
            for (var i = 0; i < 1000; i++)
            {
                await Emit(daemon, $"n{i}");
            }
        });
        var sink = new ListSink(e => e.Name == "n999");
        using var stop = new CancellationTokenSource();
        var stream = daemon.Streams.ServeAsync("dom0", daemon.Vm("dom0"), new EventFilter { Since = since }, sink, stop.Token);

        await sink.Seen.Task.WaitAsync(Daemon.Deadline);
        await writer;
        await stop.CancelAsync();

        Assert.That(sink.Names.Where(n => n != "bookmark"), Is.EqualTo(Enumerable.Range(0, 1000).Select(i => $"n{i}").Prepend("connection-established")));
        Assert.That(async () => await stream, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task A_cursor_of_another_store_is_gone()
    {
        await using var daemon = await Daemon.OpenAsync();
        var sink = new ListSink(e => e.Name == "gone");
        using var stop = new CancellationTokenSource();
        var stream = daemon.Streams.ServeAsync("dom0", daemon.Vm("dom0"), new EventFilter { Since = new(1, 1) }, sink, stop.Token);
        await sink.Seen.Task.WaitAsync(Daemon.Deadline);
        await stop.CancelAsync();

        Assert.That(sink.Events.Last().Pairs.Select(p => p.Key), Is.EqualTo(new[] { "oldest" }));
        Assert.That(async () => await stream, Throws.InstanceOf<OperationCanceledException>());
    }

    [TestCase("mgmt.Events dom0 work", true)]
    [TestCase("admin.Events dom0 work", false)]
    public async Task A_stream_of_a_vm_ends_with_it(string header, bool saysWhy)
    {
        await using var daemon = await Daemon.OpenAsync();
        var sink = new ListSink(e => e.Name == "connection-established");
        var stream = daemon.CallAsync(header, sink: sink);
        await sink.Seen.Task.WaitAsync(Daemon.Deadline);

        await daemon.TextAsync("mgmt.vm.Remove dom0 work");

        Assert.That((await stream).IsStreamEnd, Is.True);
        Assert.That(sink.Names.Contains("stream-closed"), Is.EqualTo(saysWhy));
    }

    [Test]
    public async Task A_failure_after_the_beginning_ends_the_stream_and_is_no_exception()
    {
        await using var daemon = await Daemon.OpenAsync();
        var sink = new ListSink(e => e.Name == "bang" ? throw new InvalidOperationException("broken") : false);
        var stream = daemon.CallAsync("mgmt.Events dom0 dom0", sink: sink);
        await daemon.Services.Store.ApplyAsync(c => c.Emit(MgmtEvent.Global("first")), CancellationToken.None);
        while (daemon.Streams.Count == 0)
        {
            await Task.Yield();
        }
        await Emit(daemon, "bang");

        var result = await stream;

        Assert.That(result.IsStreamEnd, Is.True);
    }

    [Test]
    public async Task A_bookmark_comes_also_when_everything_is_filtered_out()
    {
        var clock = new ManualTime();
        await using var daemon = await Daemon.OpenAsync(clock: clock);
        var sink = new ListSink(e => e.Name == "bookmark");
        using var stop = new CancellationTokenSource();
        var stream = daemon.Streams.ServeAsync("dom0", daemon.Vm("dom0"), new EventFilter { CursorAsked = true, Patterns = ["never"] }, sink, stop.Token);
        for (var i = 0; !sink.Seen.Task.IsCompleted && i < 1000; i++)
        {
            await Emit(daemon, "other");
            clock.Advance(4000);
        }
        await sink.Seen.Task.WaitAsync(Daemon.Deadline);
        await stop.CancelAsync();

        Assert.That(async () => await stream, Throws.InstanceOf<OperationCanceledException>());
    }

    private sealed class ListSink(Func<MgmtEvent, bool> until) : IEventSink
    {
        internal ConcurrentQueue<MgmtEvent> Events { get; } = [];
        internal TaskCompletionSource Seen { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        internal List<string> Names => [.. Events.Select(e => e.Name)];

        public ValueTask SendAsync(MgmtEvent happened, EventCursor? cursor, CancellationToken cancellation)
        {
            Events.Enqueue(happened);
            if (until(happened))
            {
                Seen.TrySetResult();
            }
            return ValueTask.CompletedTask;
        }

        public ValueTask FlushAsync(CancellationToken cancellation) => ValueTask.CompletedTask;
    }
}
