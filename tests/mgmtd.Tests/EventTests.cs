using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

public sealed class EventTests : DaemonFixture
{
    protected override DaemonOptions Options => new()
    {
        Config = """{ "journal-max-events": 1000 }""",
        Policy = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["20-test.policy"] = """
                mgmt.Events + work @adminvm allow
                mgmt.Events +domain-tag-add_hidden work @anyvm deny
                mgmt.Events * work vault allow
                mgmt.Events * work @tag:seen allow
                mgmt.vm.tag.Get * work vault allow
                mgmt.vm.property.Get +vcpus work vault allow
                mgmt.Events * work mortal allow

                """,
        },
    };

    [Test]
    public async Task A_property_tells_name_new_and_old_value_in_order()
    {
        await using var events = await Daemon.EventsAsync("subject=sys-net");
        await Daemon.OkAsync("mgmt.vm.property.Set", "sys-net", "memory", "500");
        await Daemon.OkAsync("mgmt.vm.property.Set", "sys-net", "memory", "600");
        await Daemon.OkAsync("mgmt.vm.property.Reset", "sys-net", "memory");
        var seen = await events.UntilAsync(e => e.Name == "property-del:memory");
        Assert.That(seen.Select(Text), Is.EqualTo(new[]
        {
            "property-pre-set:memory name=memory newvalue=500 oldvalue=400", "property-set:memory name=memory newvalue=500 oldvalue=400",
            "property-pre-set:memory name=memory newvalue=600 oldvalue=500", "property-set:memory name=memory newvalue=600 oldvalue=500",
            "property-pre-reset:memory name=memory oldvalue=600", "property-pre-del:memory name=memory oldvalue=600",
            "property-reset:memory name=memory oldvalue=600", "property-del:memory name=memory oldvalue=600",
        }));
    }

    [Test]
    public async Task Making_and_removing_a_vm_tells_it_to_the_host_and_by_the_vm()
    {
        await using var events = await Daemon.EventsAsync("event=domain-*");
        await MakeVmAsync("brief");
        await Daemon.OkAsync("mgmt.vm.Remove", "brief");
        var seen = await events.UntilAsync(e => e.Name == "domain-delete");
        Assert.That(seen.Where(e => e.Subject == "brief" || e["vm"] == "brief").Select(Text), Is.EqualTo(new[]
        {
            "domain-add vm=brief", "domain-tag-add:created-by-dom0 tag=created-by-dom0", "domain-create-on-disk", "domain-pre-delete vm=brief", "domain-delete vm=brief",
        }));
    }

    [Test]
    public async Task A_change_that_is_vetoed_has_told_that_it_was_tried()
    {
        await using var events = await Daemon.EventsAsync("subject=sys-net\nevent=property-*");
        await Daemon.RefusedAsync(ErrorCode.QubesPropertyValueError, "mgmt.vm.property.Set", "sys-net", "netvm", "sys-net");
        await Daemon.OkAsync("mgmt.vm.property.Set", "sys-net", "debug", "True");
        Assert.That(await events.NamesUntilAsync("property-set:debug"), Is.EqualTo(new[] { "property-pre-set:netvm", "property-pre-set:debug", "property-set:debug" }));
    }

    [Test]
    public async Task Subjects_and_patterns_are_or_within_and_and_between()
    {
        await using var events = await Daemon.EventsAsync("subject=vault\nsubject=sys-net\nevent=domain-tag-*:x*\nevent=domain-feature-set:*\n");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "work", "x1");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "y1");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "x1");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "sys-net", "f", "1");
        var seen = await events.UntilAsync(e => e.Subject == "sys-net");
        Assert.That(seen.Select(Text), Is.EqualTo(new[] { "domain-tag-add:x1 tag=x1", "domain-feature-set:f feature=f value=1" }));
    }

    [Test]
    public async Task Without_being_asked_there_is_no_cursor_and_admin_never_has_one()
    {
        await using var plain = await Daemon.EventsAsync("");
        await using var admin = await Daemon.EventsAsync(method: "admin.Events");
        await using var asked = await Daemon.EventsAsync("cursor=yes");
        await using var now = await Daemon.EventsAsync("since=now");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "work", "plain");
        Assert.That(Text(await plain.NextAsync("domain-tag-add:plain")), Is.EqualTo("domain-tag-add:plain tag=plain"));
        Assert.That(Text(await admin.NextAsync("domain-tag-add:plain")), Is.EqualTo("domain-tag-add:plain tag=plain"));
        Assert.That((await asked.NextAsync("domain-tag-add:plain")).Pairs[^1].Key, Is.EqualTo("cursor"));
        Assert.That((await now.NextAsync("domain-tag-add:plain")).Pairs[^1].Value, Does.Match("^[0-9a-f]{16}\\.[1-9][0-9]*$"));
        Assert.That(plain.Seen[0].Pairs, Is.Empty);
        Assert.That(now.Seen[0].Pairs.Select(p => p.Key), Is.EqualTo(new[] { "cursor" }));
    }

    [Test]
    public async Task A_cursor_resumes_right_after_its_event()
    {
        await using var first = await Daemon.EventsAsync("since=now\nsubject=vault");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "vault", "resume", "1");
        await first.NextAsync("domain-feature-set:resume");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "vault", "resume", "2");
        await using var second = await Daemon.EventsAsync($"since={first.Cursor}\nsubject=vault\nevent=domain-feature-set:resume");
        Assert.That((await second.ReadAsync())!["value"], Is.EqualTo("2"));
    }

    [TestCase("0000000000000000.1")]
    [TestCase("ffffffffffffffff.18446744073709551615")]
    public async Task A_cursor_that_is_not_held_is_gone(string cursor)
    {
        await using var events = await Daemon.EventsAsync("since=" + cursor);
        var gone = (await events.ReadAsync())!;
        Assert.That(gone.Name, Is.EqualTo("gone"));
        Assert.That(gone.Pairs.Select(p => p.Key), Is.EquivalentTo(new[] { "cursor", "oldest" }));
        Assert.That(gone.Pairs[^1].Key, Is.EqualTo("cursor"));
        await Daemon.OkAsync("mgmt.vm.tag.Set", "work", "after-gone-" + cursor[0]);
        await events.NextAsync("domain-tag-add:after-gone-" + cursor[0]);
    }

    [Test]
    public async Task A_bookmark_comes_though_the_filter_lets_nothing_through_on_a_busy_host()
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=nothing-like-it");
        using var done = new CancellationTokenSource();
        var busy = Task.Run(async () =>
        {
            for (var i = 0; !done.IsCancellationRequested; i++)
            {
                await Daemon.OkAsync("mgmt.vm.feature.Set", "debian", "busy", i.ToString(System.Globalization.CultureInfo.InvariantCulture));
            }
        });
        var bookmark = await events.ReadAsync();
        await done.CancelAsync();
        await busy;
        Assert.That(bookmark!.Name, Is.EqualTo("bookmark"));
        Assert.That(bookmark.Pairs.Select(p => p.Key), Is.EqualTo(new[] { "cursor" }));
    }

    [Test]
    public async Task A_subscriber_sees_what_the_policy_lets_it_see()
    {
        await using var events = await Daemon.EventsAsync("since=now", source: "work");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "sys-net", "unseen");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "vault", "unreadable", "1");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "hidden");
        await Daemon.OkAsync("mgmt.vm.property.Set", "vault", "memory", "444");
        await Daemon.OkAsync("mgmt.vm.property.Set", "vault", "vcpus", "3");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "shown");
        Assert.That(await events.NamesUntilAsync("domain-tag-add:shown"), Is.EqualTo(new[] { "property-pre-set:vcpus", "property-set:vcpus", "domain-tag-add:shown" }));
        // The same in replay.
        await using var again = await Daemon.EventsAsync("since=" + events.Seen[0]["cursor"], source: "work");
        Assert.That(await again.NamesUntilAsync("domain-tag-add:shown"), Is.EqualTo(new[] { "property-pre-set:vcpus", "property-set:vcpus", "domain-tag-add:shown" }));
    }

    [Test]
    public async Task Who_follows_vms_by_their_tag_hears_of_their_end()
    {
        await MakeVmAsync("followed");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "followed", "seen");
        await using var events = await Daemon.EventsAsync("event=domain-delete", source: "work");
        await MakeVmAsync("unfollowed");
        await Daemon.OkAsync("mgmt.vm.Remove", "unfollowed");
        await Daemon.OkAsync("mgmt.vm.Remove", "followed");
        var heard = await events.UntilAsync(e => e.Name == "domain-delete");
        Assert.That(heard[^1]["vm"], Is.EqualTo("followed"));
    }

    [Test]
    public async Task A_stream_on_a_vm_has_that_vms_events_and_ends_when_it_is_removed()
    {
        await MakeVmAsync("mortal");
        await using var root = await Daemon.EventsAsync("", "mortal");
        await using var other = await Daemon.EventsAsync("", "mortal", "work");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "vault", "elsewhere");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "mortal", "here");
        await Daemon.OkAsync("mgmt.vm.Remove", "mortal");
        Assert.That((await root.ToEndAsync()).Select(Text), Is.EqualTo(new[] { "domain-tag-add:here tag=here", "stream-closed reason=removed" }));
        Assert.That((await other.ToEndAsync()).Select(Text), Is.EqualTo(new[] { "stream-closed reason=removed" }));
    }

    [Test]
    public async Task The_removal_of_an_earlier_vm_of_the_same_name_does_not_end_a_replay()
    {
        var begin = await Daemon.CursorAsync();
        await MakeVmAsync("phoenix");
        await Daemon.OkAsync("mgmt.vm.Remove", "phoenix");
        await MakeVmAsync("phoenix");
        await using var events = await Daemon.EventsAsync("since=" + begin, "phoenix");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "phoenix", "reborn");
        await events.NextAsync("domain-tag-add:reborn");
    }

    [Test]
    public async Task A_subscriber_that_went_away_is_found_though_it_had_half_closed()
    {
        await using (await Daemon.EventsAsync("event=never-" + Environment.ProcessId))
        {
            Assert.That(await Streams(), Is.GreaterThan(0));
        }
        var until = Environment.TickCount64 + 5000;
        while (await Streams() > 0 && Environment.TickCount64 < until)
        {
            await Task.Delay(50);
        }
        Assert.That(await Streams(), Is.Zero);

        async Task<int> Streams() => (await Daemon.OkAsync("mgmt.call.List")).Split('\n').Count(l => l.Contains("method=mgmt.Events", StringComparison.Ordinal));
    }

    [Test]
    public async Task A_refusal_is_an_exception_and_no_event() =>
        await Daemon.RefusedAsync(ErrorCode.PermissionDenied, "mgmt.Events", "vault", source: "sys-net");

    [Test]
    public async Task A_stream_is_in_the_audit_log_from_its_opening_on()
    {
        var refused = (await Daemon.RefusedAsync(ErrorCode.ProtocolError, "mgmt.Events", "vault", payload: "nonsense")).Type;
        await using (await Daemon.EventsAsync("", "vault"))
        {
            Assert.That(Outcomes(), Is.EqualTo(new[] { refused, "stream" }));
        }
        var until = Environment.TickCount64 + 5000;
        while (Outcomes().Count < 3 && Environment.TickCount64 < until)
        {
            await Task.Delay(50);
        }
        var lines = Lines();
        Assert.That(lines, Has.Count.EqualTo(3));
        Assert.That(lines[2].GetProperty("outcome").GetString(), Is.EqualTo("MgmtCancelledError"));
        Assert.That(lines[2].GetProperty("call").GetInt64(), Is.EqualTo(lines[1].GetProperty("call").GetInt64()));

        List<System.Text.Json.JsonElement> Lines() =>
            [.. Daemon.Audit("mgmt.Events").Where(l => l.GetProperty("target").GetString() == "vault" && l.GetProperty("source").GetString() == "dom0")];
        List<string?> Outcomes() => [.. Lines().Select(l => l.GetProperty("outcome").GetString())];
    }

    private static string Text(MgmtEvent happened) => string.Join(' ', happened.Pairs.Select(p => $"{p.Key}={p.Value}").Prepend(happened.Name));
}
