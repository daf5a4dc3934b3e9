using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Disposables that are made ahead of need.</summary>
public sealed class PreloadTests
{
    private const string Completed = "domain-feature-set:preload-dispvm-completed";

    [Test]
    public async Task As_many_are_kept_ready_as_the_feature_says_and_whoever_asks_gets_one_that_runs()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-*\nevent=property-reset:is_preload");
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "2");
        await events.NextAsync(Completed);
        await events.NextAsync(Completed);
        var ready = await ReadyAsync(daemon);
        Assert.That(ready, Has.Length.EqualTo(2));
        foreach (var name in ready)
        {
            Assert.That(await daemon.StateAsync(name), Is.EqualTo("Paused"));
            Assert.That(await daemon.OkAsync("admin.vm.property.Get", name, "is_preload"), Is.EqualTo("default=True type=bool True"));
            Assert.That(await daemon.OkAsync("mgmt.vm.feature.Get", name, "internal"), Is.EqualTo("1"));
            Assert.That(await daemon.OkAsync("mgmt.vm.tag.List", name), Is.EqualTo("for-all\n"));
            await daemon.RefusedAsync(ErrorCode.QubesFeatureNotFoundError, "mgmt.vm.feature.Get", name, "preload-dispvm-max");
        }

        Assert.That(await daemon.OkAsync("admin.vm.CreateDisposable", "dvm"), Is.EqualTo(ready[0]));
        Assert.That(await daemon.StateAsync(ready[0]), Is.EqualTo("Running"));
        Assert.That(await daemon.OkAsync("admin.vm.property.Get", ready[0], "is_preload"), Is.EqualTo("default=True type=bool False"));
        Assert.That(await daemon.OkAsync("mgmt.vm.tag.List", ready[0]), Is.EqualTo("created-by-dom0\ndisp-created-by-dom0\nfor-all\n"));
        Assert.That(await daemon.OkAsync("mgmt.vm.feature.List", ready[0]), Is.EqualTo("preload-dispvm-completed\n"));
        var third = (await events.NextAsync(Completed)).Subject;
        Assert.That(await ReadyAsync(daemon), Is.EqualTo(new[] { ready[1], third }));
        Assert.That(await daemon.OkAsync("admin.vm.CreateDisposable", "dvm", "", "uuid"), Does.StartWith("uuid:"));
        await daemon.OkAsync("mgmt.vm.Kill", ready[0]);
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == ready[0]);
    }

    [Test]
    public async Task Its_life_has_its_events_in_order()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("since=now\nevent=domain-*\nevent=property-reset:is_preload");
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "1");
        await daemon.OkAsync("admin.vm.CreateDisposable", "dvm", "preload");
        Assert.That(await events.NamesUntilAsync("domain-feature-set:preload-dispvm-in-progress"), Is.EqualTo(new[]
        {
            "domain-feature-pre-set:preload-dispvm-max", "domain-feature-set:preload-dispvm-max", "domain-preload-dispvm-start",
            "domain-add", "domain-feature-pre-set:preload-dispvm-in-progress", "domain-feature-set:preload-dispvm-in-progress",
        }));
        Assert.That(await events.NamesUntilAsync("domain-feature-set:preload-dispvm-in-progress"), Is.EqualTo(new[]
        {
            "domain-feature-pre-set:preload-dispvm", "domain-feature-set:preload-dispvm", "property-reset:is_preload", "domain-feature-pre-set:internal", "domain-feature-set:internal", "domain-create-on-disk",
            "domain-pre-start", "domain-pre-spawn", "domain-spawn", "domain-pre-unpaused", "domain-unpaused", "domain-start", "domain-pre-paused", "domain-paused",
            "domain-feature-pre-set:preload-dispvm-completed", Completed, "domain-feature-pre-set:preload-dispvm-in-progress", "domain-feature-set:preload-dispvm-in-progress",
        }));
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "0");
        await events.NamesUntilAsync("domain-delete");

        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-delay", "3600");
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "1");
        await events.NamesUntilAsync(Completed);
        await events.NamesUntilAsync("domain-feature-set:preload-dispvm-in-progress");
        var name = await daemon.OkAsync("admin.vm.CreateDisposable", "dvm");
        var handed = await events.UntilAsync(e => e.Name == "domain-unpaused");
        Assert.That(handed.Select(e => e.Name), Is.EqualTo(new[]
        {
            "domain-feature-pre-set:preload-dispvm-in-progress", "domain-feature-set:preload-dispvm-in-progress", "domain-feature-pre-set:preload-dispvm", "domain-feature-set:preload-dispvm",
            "property-reset:is_preload", "domain-tag-add:created-by-dom0", "domain-tag-add:disp-created-by-dom0", "domain-pre-unpaused",
            "domain-feature-pre-delete:internal", "domain-feature-delete:internal", "domain-feature-pre-delete:preload-dispvm-in-progress", "domain-feature-delete:preload-dispvm-in-progress",
            "domain-preload-dispvm-used", "domain-unpaused",
        }));
        Assert.That((handed[^2].Subject, handed[^2]["dispvm"], handed[^2]["delay"]), Is.EqualTo(("dvm", name, "3600.0")));
    }

    [Test]
    public async Task What_is_too_much_is_removed_newest_first()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-*");
        var ready = await FillAsync(daemon, 2);
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "1");
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == ready[1]);
        Assert.That(await ReadyAsync(daemon), Is.EqualTo(new[] { ready[0] }));
        await daemon.OkAsync("mgmt.vm.feature.Remove", "dvm", "preload-dispvm-max");
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == ready[0]);
        Assert.That(await ReadyAsync(daemon), Is.Empty);
        Assert.That(await daemon.OkAsync("mgmt.pool.volume.List", "dom0", "default"), Does.Not.Contain("/disp"));
    }

    [TestCase("memory")]
    [TestCase("tag")]
    [TestCase("root")]
    [TestCase("private")]
    public async Task Nobody_gets_one_that_is_not_as_one_that_is_made_now(string change)
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-*");
        var old = (await FillAsync(daemon, 1))[0];
        switch (change)
        {
            case "memory":
                await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "memory", "322");
                break;
            case "tag":
                await daemon.OkAsync("mgmt.vm.tag.Remove", "dvm", "for-all");
                break;
            case "root":
                await daemon.OkAsync("mgmt.vm.Start", "debian");
                await daemon.OkAsync("mgmt.vm.Shutdown", "debian", "wait");
                break;
            default:
                await daemon.OkAsync("mgmt.vm.volume.Resize", "dvm", "private", "3221225472");
                break;
        }
        Assert.That(await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm"), Is.Not.EqualTo(old));
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == old);
        await events.NextAsync(Completed);
        var now = (await ReadyAsync(daemon)).Single();
        Assert.That(await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm"), Is.EqualTo(now));
        if (change == "memory")
        {
            Assert.That(await daemon.OkAsync("admin.vm.property.Get", now, "memory"), Is.EqualTo("default=False type=int 322"));
        }
    }

    [Test]
    public async Task One_that_somebody_lets_go_on_is_theirs_and_one_that_somebody_ends_is_made_anew()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-*");
        var first = (await FillAsync(daemon, 1))[0];
        await daemon.OkAsync("mgmt.vm.Unpause", first);
        Assert.That(await daemon.OkAsync("admin.vm.property.Get", first, "is_preload"), Does.EndWith("False"));
        Assert.That((await events.NextAsync("domain-preload-dispvm-used"))["dispvm"], Is.EqualTo(first));
        var second = (await events.NextAsync(Completed)).Subject;
        await daemon.OkAsync("mgmt.vm.Kill", second);
        await events.NextAsync(Completed);
        Assert.That((await ReadyAsync(daemon)).Single(), Is.Not.EqualTo(second));
        Assert.That(await daemon.StateAsync(first), Is.EqualTo("Running"));
    }

    [Test]
    public async Task They_are_in_the_way_of_no_change_of_what_they_are_made_from()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-*");
        var ready = (await FillAsync(daemon, 1))[0];
        await daemon.OkAsync("mgmt.vm.Clone", "debian", "", "name=debian-2");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "template", "debian-2");
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == ready);
        ready = (await events.NextAsync(Completed)).Subject;
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "template_for_dispvms", "False");
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == ready);
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "template_for_dispvms", "True");
        ready = (await events.NextAsync(Completed)).Subject;

        await daemon.OkAsync("mgmt.property.Set", "dom0", "default_dispvm", "dvm");
        await daemon.RefusedAsync(ErrorCode.QubesVMInUseError, "mgmt.vm.Remove", "dvm");
        Assert.That(await daemon.StateAsync(ready), Is.EqualTo("Paused"), "what is refused anyway ends none");
        await daemon.OkAsync("mgmt.property.Reset", "dom0", "default_dispvm");
        await daemon.OkAsync("mgmt.vm.Remove", "dvm");
        Assert.That(await daemon.OkAsync("mgmt.vm.List"), Does.Not.Contain("DispVM").And.Not.Contain("dvm"));
    }

    [Test]
    public async Task The_number_for_the_default_of_the_host_is_that_of_dom0()
    {
        await using var daemon = await StartAsync();
        await daemon.OkAsync("mgmt.vm.feature.Set", "dom0", "preload-dispvm-max", "1");
        await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm", "preload");
        Assert.That(await ReadyAsync(daemon), Is.Empty);
        await daemon.OkAsync("mgmt.property.Set", "dom0", "default_dispvm", "dvm");
        await daemon.OkAsync("mgmt.vm.CreateDisposable", "dom0", "preload");
        Assert.That(await ReadyAsync(daemon), Has.Length.EqualTo(1));
    }

    [Test]
    public async Task One_that_cannot_be_made_is_told_once_and_is_in_nobodys_way()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("since=now\nevent=domain-*");
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "prohibit-start", "not today");
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", "1");
        await events.UntilAsync(e => e.Name == "domain-delete");
        await daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.vm.CreateDisposable", "dvm", "preload");
        var name = await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        Assert.That(await daemon.StateAsync(name), Is.EqualTo("Halted"));
        Assert.That(await ReadyAsync(daemon), Is.Empty);
        var seen = await events.UntilAsync(e => e.Name == "domain-add" && e["vm"] == name);
        Assert.That(seen.Count(e => e.Name == "domain-preload-dispvm-start"), Is.EqualTo(1), "it is tried again when something changes, and not before");

        await daemon.OkAsync("mgmt.vm.feature.Remove", "dvm", "prohibit-start");
        await events.NextAsync(Completed);
    }

    [Test]
    public async Task After_the_end_of_the_daemon_there_are_as_many_as_before_and_none_that_are_half_made()
    {
        await using var daemon = await StartAsync();
        var ready = await FillAsync(daemon, 2);
        await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        await daemon.KillHardAsync();
        // A test host's VMs end with the daemon.
        await daemon.StartAgainAsync();
        await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm", "preload");
        var now = await ReadyAsync(daemon);
        Assert.That(now, Has.Length.EqualTo(2).And.No.AnyOf(ready));
        foreach (var name in now)
        {
            Assert.That(await daemon.StateAsync(name), Is.EqualTo("Paused"));
        }
        await using var events = await daemon.EventsAsync("cursor=yes\nevent=bookmark");
        while ((await daemon.OkAsync("mgmt.vm.List")).Split('\n').Count(line => line.Contains("class=DispVM", StringComparison.Ordinal)) != 2)
        {
            await events.NextAsync("bookmark");
        }
    }

    private static async Task<string[]> FillAsync(DaemonProcess daemon, int count)
    {
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-max", $"{count}");
        Assert.That(await daemon.OkAsync("admin.vm.CreateDisposable", "dvm", "preload"), Is.Empty);
        var ready = await ReadyAsync(daemon);
        Assert.That(ready, Has.Length.EqualTo(count));
        return ready;
    }

    private static async Task<string[]> ReadyAsync(DaemonProcess daemon) =>
        (await daemon.OkAsync("mgmt.vm.feature.List", "dvm")).Split('\n').Contains("preload-dispvm")
            ? (await daemon.OkAsync("mgmt.vm.feature.Get", "dvm", "preload-dispvm")).Split(' ', StringSplitOptions.RemoveEmptyEntries)
            : [];

    private static async Task<DaemonProcess> StartAsync()
    {
        var daemon = await DaemonProcess.StartAsync(new());
        await daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "debian", "name=dvm label=red");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "netvm", "");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "memory", "321");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "template_for_dispvms", "True");
        await daemon.OkAsync("mgmt.vm.tag.Set", "dvm", "for-all");
        await daemon.OkAsync("mgmt.vm.feature.Set", "dvm", "preload-dispvm-delay", "0");
        return daemon;
    }
}
