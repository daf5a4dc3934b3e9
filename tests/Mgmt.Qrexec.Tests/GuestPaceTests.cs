using Mgmt.Testing;

namespace Mgmt.Qrexec.Tests;

public sealed class GuestPaceTests
{
    private const int StepMs = 1000 / GuestPace.PerSecond;

    [Test]
    public async Task Refusals_up_to_the_burst_hold_nobody_up()
    {
        var pace = new GuestPace(new ManualTime());
        Refuse(pace, GuestPace.Burst);
        await pace.WaitAsync(CancellationToken.None);
    }

    [Test]
    public async Task Beyond_it_the_next_call_waits_a_step_for_each()
    {
        var time = new ManualTime();
        var pace = new GuestPace(time);
        Refuse(pace, GuestPace.Burst + 2);
        var waiting = pace.WaitAsync(CancellationToken.None).AsTask();
        time.Advance((2 * StepMs) - 1);
        Assert.That(waiting.IsCompleted, Is.False);
        time.Advance(2);
        await waiting;
    }

    [Test]
    public async Task A_guest_that_was_not_refused_for_long_has_the_burst_again_and_no_more()
    {
        var time = new ManualTime();
        var pace = new GuestPace(time);
        Refuse(pace, GuestPace.Burst);
        time.Advance(60 * 60 * 1000);
        Refuse(pace, GuestPace.Burst);
        await pace.WaitAsync(CancellationToken.None);
        Refuse(pace, 1);
        Assert.That(pace.WaitAsync(CancellationToken.None).IsCompleted, Is.False);
    }

    [Test]
    public void Who_waits_can_give_up()
    {
        var pace = new GuestPace(new ManualTime());
        Refuse(pace, GuestPace.Burst + 1);
        using var over = new CancellationTokenSource();
        var waiting = pace.WaitAsync(over.Token).AsTask();
        over.Cancel();
        Assert.That(async () => await waiting, Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task A_port_begins_no_call_of_a_guest_beyond_its_pace_and_goes_on_after_it()
    {
        await using var port = await ServedPort.StartAsync();
        Refuse(port.Pace, GuestPace.Burst + 1);
        await port.Peer.SayAsync(PortPeer.Call);
        await port.Peer.HearAsync(PortPeer.Greeting);
        var next = port.NextAsync();
        await port.Time.ArmedAsync();
        Assert.That(next.IsCompleted, Is.False);
        port.Time.Advance(StepMs + 1);
        (await next).Done.SetResult();
    }

    private static void Refuse(GuestPace pace, int times)
    {
        for (var i = 0; i < times; i++)
        {
            pace.Refused();
        }
    }
}
