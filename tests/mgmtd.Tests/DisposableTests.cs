using Mgmt.Core;
using Mgmt.Testing;
using Mgmt.Wire;

namespace Mgmt.Daemon.Tests;

/// <summary>Disposable VMs are gone when they were used, whoever sees their end.</summary>
public sealed class DisposableTests
{
    [Test]
    public async Task A_disposable_is_removed_after_its_run_and_another_only_when_it_says_so()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-delete");
        var name = await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        await daemon.OkAsync("mgmt.vm.Start", name);
        await daemon.OkAsync("mgmt.vm.Shutdown", name, "wait");
        Assert.That((await events.NextAsync("domain-delete"))["vm"], Is.EqualTo(name));
        await daemon.RefusedAsync(ErrorCode.QubesVMNotFoundError, "mgmt.vm.List", name);
        Assert.That(await daemon.OkAsync("mgmt.pool.volume.List", "dom0", "default"), Does.Not.Contain("appvms/" + name));

        await daemon.OkAsync("mgmt.vm.Create.DispVM", "dom0", "dvm", "name=stays label=red");
        await daemon.OkAsync("mgmt.vm.Start", "stays");
        await daemon.OkAsync("mgmt.vm.Kill", "stays");
        Assert.That(await daemon.StateAsync("stays"), Is.EqualTo("Halted"));
        await daemon.OkAsync("mgmt.vm.property.Set", "stays", "auto_cleanup", "True");
        await daemon.OkAsync("mgmt.vm.Start", "stays");
        await daemon.OkAsync("mgmt.vm.Kill", "stays");
        Assert.That((await events.NextAsync("domain-delete"))["vm"], Is.EqualTo("stays"));
    }

    [Test]
    public async Task A_start_that_fails_removes_the_disposable()
    {
        await using var daemon = await StartAsync();
        await using var events = await daemon.EventsAsync("event=domain-*");
        var name = await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        await daemon.OkAsync("mgmt.vm.feature.Set", name, "prohibit-start", "not today");
        await daemon.RefusedAsync(ErrorCode.QubesException, "mgmt.vm.Start", name);
        // Refused before it began: it is as it was, and can be started when that is changed.
        Assert.That(await daemon.StateAsync(name), Is.EqualTo("Halted"));
        await daemon.OkAsync("mgmt.vm.feature.Remove", name, "prohibit-start");
        await daemon.OkAsync("mgmt.vm.Start", name);
        await daemon.OkAsync("mgmt.vm.Kill", name);
        await events.UntilAsync(e => e.Name == "domain-delete" && e["vm"] == name);
    }

    [Test]
    public async Task What_an_earlier_daemon_left_of_disposables_is_removed_at_the_next_start()
    {
        await using var daemon = await StartAsync();
        var unused = await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        var ran = await daemon.OkAsync("mgmt.vm.CreateDisposable", "dvm");
        await daemon.OkAsync("mgmt.vm.Start", ran);
        await daemon.OkAsync("mgmt.vm.Create.DispVM", "dom0", "dvm", "name=kept label=red");
        var cursor = await daemon.CursorAsync();
        await daemon.KillHardAsync();
        // A test host's VMs end with the daemon, so the next one has not seen the end.
        await daemon.StartAgainAsync();
        await using var events = await daemon.EventsAsync($"since={cursor}\nevent=domain-delete\nevent=domain-shutdown");
        var gone = new HashSet<string>();
        await events.UntilAsync(e => e.Name == "domain-delete" && gone.Add(e["vm"]!) && gone.Count == 2);
        Assert.That(gone, Is.EquivalentTo(new[] { unused, ran }));
        Assert.That(await daemon.StateAsync("kept"), Is.EqualTo("Halted"));
    }

    [Test]
    public async Task A_vm_makes_disposables_of_its_default_and_is_named_on_them()
    {
        await using var daemon = await StartAsync(new DaemonOptions
        {
            Policy = new Dictionary<string, string>(StringComparer.Ordinal) { ["20-test.policy"] = "admin.vm.CreateDisposable * work @adminvm allow\nadmin.vm.CreateDisposable * work dvm deny\n" },
        });
        await daemon.OkAsync("mgmt.vm.property.Set", "work", "default_dispvm", "dvm");
        var name = await daemon.OkAsync("admin.vm.CreateDisposable", source: "work");
        Assert.That(name, Does.Match("^disp[1-9][0-9]{0,3}$"));
        Assert.That(await daemon.OkAsync("admin.vm.tag.List", name), Is.EqualTo("created-by-work\ndisp-created-by-work\nfor-all\n"));
        Assert.That(await daemon.OkAsync("admin.vm.property.Get", name, "memory"), Is.EqualTo("default=False type=int 321"));
        Assert.That(((Reply.Failure)await daemon.CallAsync("admin.vm.CreateDisposable", "dvm", source: "work")).Type, Is.EqualTo("QubesDaemonAccessError"));
    }

    private static async Task<DaemonProcess> StartAsync(DaemonOptions? options = null)
    {
        var daemon = await DaemonProcess.StartAsync(options ?? new());
        await daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "debian", "name=dvm label=red");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "netvm", "");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "memory", "321");
        await daemon.OkAsync("mgmt.vm.property.Set", "dvm", "template_for_dispvms", "True");
        await daemon.OkAsync("mgmt.vm.tag.Set", "dvm", "for-all");
        return daemon;
    }
}
