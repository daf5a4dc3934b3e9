using System.Globalization;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

public sealed class SlowSubscriberTests
{
    [Test]
    public async Task A_subscriber_that_does_not_read_is_closed_and_holds_nobody_else_up()
    {
        await using var daemon = await DaemonProcess.StartAsync();
        await using var slow = await daemon.EventsAsync("since=now");
        await using var quick = await daemon.EventsAsync("event=domain-feature-set:n");
        var reading = quick.UntilAsync(e => e["value"] == "end");
        var padding = new string('x', 500);
        // Two events each: more than the queue of one subscriber and the buffers of its socket hold.
        await Parallel.ForEachAsync(Enumerable.Range(0, 4000), new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (i, _) =>
            await daemon.OkAsync("mgmt.vm.feature.Set", "work", "n", i.ToString(CultureInfo.InvariantCulture) + padding));
        await daemon.OkAsync("mgmt.vm.feature.Set", "work", "n", "end");
        Assert.That(await reading, Has.Count.EqualTo(4001));

        var end = (await slow.ToEndAsync())[^1];
        Assert.That($"{end.Name} {end["reason"]}", Is.EqualTo("stream-closed slow"));
        await using var resumed = await daemon.EventsAsync($"since={end["cursor"]}\nevent=domain-feature-set:n");
        await resumed.UntilAsync(e => e["value"] == "end");
        Assert.That(slow.Seen.Concat(resumed.Seen).Count(e => e.Name == "domain-feature-set:n"), Is.EqualTo(4001));
    }
}
