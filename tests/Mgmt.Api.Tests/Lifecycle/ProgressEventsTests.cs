using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class ProgressEventsTests
{
    [Test]
    public async Task The_first_is_at_zero_the_last_at_the_total_and_between_them_two_a_second_at_most()
    {
        var clock = new ManualTime();
        await using var daemon = await Daemon.OpenAsync();
        var events = new ProgressEvents(daemon.Store, Daemon.Name("work"), "clone", 7, clock, 100);
        await CountAsync(daemon, 1);
        for (var done = 1; done <= 50; done++)
        {
            events.Report(new(done, 100));
        }
        Assert.That(daemon.Events("work"), Has.Count.EqualTo(1), "time stood still");
        await clock.ArmedAsync().WaitAsync(DaemonProcess.Deadline);
        clock.Advance(500);
        await CountAsync(daemon, 2);
        events.Report(new(60, 120));
        events.Complete();
        await events.DisposeAsync();

        Assert.That(daemon.Events("work"), Is.EqualTo(new[]
        {
            "progress operation=clone id=7 done=0 total=100", "progress operation=clone id=7 done=50 total=100", "progress operation=clone id=7 done=120 total=120",
        }));
    }

    [Test]
    public async Task A_copy_that_failed_does_not_say_that_all_is_done()
    {
        await using var daemon = await Daemon.OpenAsync();
        await using (var events = new ProgressEvents(daemon.Store, Daemon.Name("work"), "clone", 7, new ManualTime()))
        {
            await CountAsync(daemon, 1);
            events.Report(new(5, 100));
        }
        Assert.That(daemon.Events("work"), Is.EqualTo(new[] { "progress operation=clone id=7 done=0 total=0" }));
    }

    private static Task CountAsync(Daemon daemon, int count) => daemon.UntilAsync(_ => daemon.Events("work").Count >= count);
}
