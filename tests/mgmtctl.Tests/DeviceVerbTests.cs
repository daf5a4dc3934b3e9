using System.Text.Json;
using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

/// <summary>mgmtctl device against a real daemon on the test host.</summary>
public sealed class DeviceVerbTests
{
    private DaemonProcess _daemon;

    [OneTimeSetUp]
    public async Task Start()
    {
        _daemon = await DaemonProcess.StartAsync();
        await _daemon.OkAsync("mgmt.vm.Start", "vault");
    }

    [OneTimeTearDown]
    public async Task Stop() => await _daemon.DisposeAsync();

    private async Task<string> OkAsync(params string[] args)
    {
        var ctl = new Ctl(_daemon.SocketPath);
        Assert.That(await ctl.RunAsync(CancellationToken.None, ["device", .. args]), Is.Zero, ctl.Error);
        return ctl.Out;
    }

    private async Task<(int Code, string Error)> FailAsync(params string[] args)
    {
        var ctl = new Ctl(_daemon.SocketPath);
        return (await ctl.RunAsync(CancellationToken.None, ["device", .. args]), ctl.Error);
    }

    [Test]
    public async Task Devices_are_listed_attached_and_detached()
    {
        Assert.That(await OkAsync("available", "--class", "usb"), Is.EqualTo("usb\tdom0:1-2\t\t\tExample camera\n"));
        await OkAsync("attach", "vault", "block", "dom0:sdb", "--ro", "--option", "frontend-dev=data");
        Assert.That(await OkAsync("ls", "vault", "--class", "block"), Is.EqualTo("block\tdom0:sdb\tyes\tno\tfrontend-dev=data ro=True\n"));
        using var json = JsonDocument.Parse(await OkAsync("available", "--json"));
        Assert.That(json.RootElement.EnumerateArray().Single(d => d.GetProperty("device").GetString() == "dom0:sdb").GetProperty("attached_to").GetString(), Is.EqualTo("vault"));
        await OkAsync("detach", "vault", "block", "sdb");
        Assert.That(await OkAsync("ls", "vault", "--class", "block"), Is.Empty);
        await OkAsync("mic", "vault", "on");
        Assert.That(await OkAsync("ls", "vault", "--class", "mic"), Is.EqualTo("mic\tdom0:mic\tyes\tno\t\n"));
        await OkAsync("mic", "vault", "off");
    }

    [Test]
    public async Task Devices_are_assigned_changed_and_unassigned()
    {
        await OkAsync("assign", "work", "block", "dom0:sdb", "--required", "--option", "read-only=yes");
        Assert.That(await OkAsync("assigned", "work"), Is.EqualTo("block\tdom0:sdb\trequired\t*\tread-only=yes\n"));
        await OkAsync("mode", "work", "block", "dom0:sdb", "ask-to-attach");
        Assert.That(await OkAsync("assigned", "work"), Does.Contain("ask-to-attach"));
        await OkAsync("unassign", "work", "block", "dom0:sdb");
        Assert.That(await OkAsync("assigned", "work"), Is.Empty);
        await OkAsync("denied", "work", "add", "u03****");
        Assert.That(await OkAsync("denied", "work"), Is.EqualTo("u03****\n"));
        await OkAsync("denied", "work", "del", "all");
    }

    [Test]
    public async Task Refusals_and_wrong_usage_have_their_exit_codes()
    {
        Assert.That((await FailAsync("attach", "vault", "block", "dom0:sdz")).Code, Is.EqualTo(1));
        Assert.That((await FailAsync("detach", "vault", "block", "dom0:sdb1")).Error, Does.Contain("is not attached to vault"));
        Assert.That((await FailAsync("attach", "vault", "block", ":sdb")).Code, Is.EqualTo(2));
        Assert.That((await FailAsync("assign", "vault", "block", "sdb", "--required", "--ask")).Code, Is.EqualTo(2));
        Assert.That((await FailAsync("mic", "vault", "loud")).Code, Is.EqualTo(2));
    }

    [Test]
    public async Task Classes_and_devices_are_completed()
    {
        var ctl = new Ctl(_daemon.SocketPath);
        await ctl.RunAsync(CancellationToken.None, "words", "--", "device", "attach", "vault", "");
        Assert.That(ctl.Out.Split('\n'), Does.Contain("block").And.Contain("usb"));
        ctl = new Ctl(_daemon.SocketPath);
        await ctl.RunAsync(CancellationToken.None, "words", "--", "device", "attach", "vault", "block", "");
        Assert.That(ctl.Out.Split('\n'), Does.Contain("dom0:sdb").And.Contain("dom0:file-debian.iso"));
        ctl = new Ctl(_daemon.SocketPath);
        await ctl.RunAsync(CancellationToken.None, "words", "--", "device", "attach", "vault", "block", "work:");
        Assert.That(ctl.Out.Split('\n'), Does.Contain("work:private"));
    }
}
