namespace Mgmt.Daemon.Tests;

/// <summary>Whose turn it is for the ports of an agent.</summary>
public sealed class AgentPortsTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    [Test]
    public async Task The_lowest_free_port_is_given_and_given_back_once()
    {
        var ports = new AgentPorts(3);
        var first = await TakeAsync(ports, "a", 1);
        var second = await TakeAsync(ports, "b", 2);
        Assert.That((first.Port, second.Port), Is.EqualTo((0, 1)));
        Assert.That(ports.Uses, Is.EqualTo(new AgentPorts.PortUse[] { new(0, "a", 1), new(1, "b", 2), new(2, null, 0) }));
        first.Dispose();
        first.Dispose();
        Assert.That((await TakeAsync(ports, "c", 3)).Port, Is.Zero);
        Assert.That((await TakeAsync(ports, "d", 4)).Port, Is.EqualTo(2));
        Assert.That(ports.Uses.Select(use => use.Source), Is.EqualTo(new[] { "c", "b", "d" }));
    }

    [Test]
    public async Task One_source_has_all_but_one_and_waits_for_itself()
    {
        var ports = new AgentPorts(3);
        var mine = new[] { await TakeAsync(ports, "a", 1), await TakeAsync(ports, "a", 2) };
        var third = ports.TakeAsync("a", 3, CancellationToken.None);
        var other = await TakeAsync(ports, "b", 4);
        Assert.That((third.IsCompleted, other.Port), Is.EqualTo((false, 2)), "whoever came later overtakes one that has its share");
        other.Dispose();
        Assert.That(third.IsCompleted, Is.False, "a free port that is not for it");
        mine[0].Dispose();
        Assert.That((await third.WaitAsync(Deadline)).Port, Is.Zero);
    }

    [Test]
    public async Task The_only_port_is_for_whoever_comes()
    {
        var ports = new AgentPorts(1);
        var held = await TakeAsync(ports, "a", 1);
        var waiting = ports.TakeAsync("a", 2, CancellationToken.None);
        Assert.That(waiting.IsCompleted, Is.False);
        held.Dispose();
        (await waiting.WaitAsync(Deadline)).Dispose();
    }

    [Test]
    public async Task Who_waits_is_served_in_turn()
    {
        var ports = new AgentPorts(1);
        var held = await TakeAsync(ports, "a", 1);
        var waiting = new[] { "b", "c", "a", "d" }.Select((source, i) => ports.TakeAsync(source, 2 + i, CancellationToken.None)).ToArray();
        foreach (var next in waiting)
        {
            Assert.That(next.IsCompleted, Is.False);
            held.Dispose();
            held = await next.WaitAsync(Deadline);
        }
    }

    [Test]
    public async Task Who_gives_up_waiting_is_passed_over()
    {
        var ports = new AgentPorts(1);
        var held = await TakeAsync(ports, "a", 1);
        using var stop = new CancellationTokenSource();
        var givenUp = ports.TakeAsync("b", 2, stop.Token);
        var next = ports.TakeAsync("c", 3, CancellationToken.None);
        await stop.CancelAsync();
        Assert.That(async () => await givenUp, Throws.InstanceOf<OperationCanceledException>());
        held.Dispose();
        Assert.That((await next.WaitAsync(Deadline)).Source, Is.EqualTo("c"));
        Assert.That(ports.Uses[0], Is.EqualTo(new AgentPorts.PortUse(0, "c", 3)));
    }

    [Test]
    public async Task Many_at_once_never_have_more_than_there_are_and_all_come_to_an_end()
    {
        const int Count = 4;
        var ports = new AgentPorts(Count);
        var held = new int[Count];
        var bySource = new int[3];
        await Task.WhenAll(Enumerable.Range(0, 60).Select(i => Task.Run(async () =>
        {
            using var port = await ports.TakeAsync($"source {i % 3}", i + 1, CancellationToken.None);
            Assert.That(Interlocked.Increment(ref held[port.Port]), Is.EqualTo(1), "a port of two");
            Assert.That(Interlocked.Increment(ref bySource[i % 3]), Is.LessThan(Count), "all of one source");
            await Task.Yield();
            Interlocked.Decrement(ref bySource[i % 3]);
            Interlocked.Decrement(ref held[port.Port]);
        }))).WaitAsync(Deadline);
        Assert.That(ports.Uses, Has.All.Property(nameof(AgentPorts.PortUse.Source)).Null);
    }

    private static Task<AgentPorts.Held> TakeAsync(AgentPorts ports, string source, long call) => ports.TakeAsync(source, call, CancellationToken.None).WaitAsync(Deadline);
}
