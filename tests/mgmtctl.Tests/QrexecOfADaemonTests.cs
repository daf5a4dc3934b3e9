using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

/// <summary>mgmtctl of an admin VM with a real daemon; between them a script in place of the client and the channel.</summary>
[CancelAfter(60_000)]
public sealed class QrexecOfADaemonTests
{
    private const string Host = """
        { "pools": { "default": { "driver": "qcow2" } },
          "vms": { "work": { "class": "StandaloneVM" },
                   "vault": { "class": "StandaloneVM" },
                   "disk": { "class": "StandaloneVM", "volumes": {
                     "private": { "pool": "default", "vid": "disk/private", "size": 1048576, "rw": true, "save_on_stop": true, "snap_on_start": false } } } } }
        """;

    private const string Rules = """
        mgmt.vm.List * work @adminvm allow
        mgmt.vm.Start * work vault allow target=@adminvm
        mgmt.vm.property.GetAll * work vault allow target=@adminvm
        mgmt.vm.property.Get * work vault allow target=@adminvm
        mgmt.vm.property.Set * work vault allow target=@adminvm
        mgmt.vm.volume.ImportWithSize +private work disk allow target=@adminvm
        mgmt.vm.feature.Get * work vault allow target=@adminvm
        mgmt.Events * work @adminvm allow
        mgmt.Events * work vault allow target=@adminvm

        """;

    private DaemonProcess _daemon = null!;
    private ClientScript _client = null!;

    [OneTimeSetUp]
    public async Task Start()
    {
        Requirement.Program("socat");
        _daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Host, Policy = new Dictionary<string, string> { ["10-guest.policy"] = Rules } });
        _client = ClientScript.To(_daemon.SocketPath);
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        _client?.Dispose();
        if (_daemon is not null)
        {
            await _daemon.DisposeAsync();
        }
    }

    [Test]
    public async Task Verbs_do_what_the_policy_lets_the_guest_do(CancellationToken token)
    {
        Assert.That(await OkAsync("ls", token), Does.Contain("vault\tStandaloneVM\t"));
        Assert.That(await OkAsync("prefs vault memory 444", token), Is.Empty);
        Assert.That(await OkAsync("prefs vault memory", token), Is.EqualTo("444\n"));
        Assert.That(await OkAsync("start vault", token), Is.Empty);
        Assert.That(_daemon.Audit("mgmt.vm.Start").Last().GetProperty("source").GetString(), Is.EqualTo("work"));
        var denied = _client.Ctl();
        Assert.That((await RunAsync(denied, "kill vault", token), denied.Error), Is.EqualTo((126, "mgmtctl: Denied by policy: mgmt.vm.Kill to vault (the host's audit log says why)\n")));
    }

    [Test]
    public async Task An_image_is_imported_with_its_progress(CancellationToken token)
    {
        var image = Path.Combine(_client.Directory, "image");
        await File.WriteAllBytesAsync(image, new byte[3 << 20], token);
        var ctl = _client.Ctl();
        Assert.That(await RunAsync(ctl, $"volume import disk:private {image} --progress", token), Is.Zero, ctl.Error);
        Assert.That(ctl.Error, Does.EndWith("3 MiB of 3 MiB (100%)\n").Or.Match("3 MiB of 3 MiB \\(100%\\), [^\n]*\n$"));
        Assert.That(await _daemon.OkAsync("mgmt.vm.volume.Info", "disk", "private"), Does.Contain($"size={3 << 20}\n"));
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task Events_are_followed_over_a_restart_and_over_a_kill_and_none_is_lost_or_told_twice(bool kill, CancellationToken token)
    {
        var ctl = _client.Ctl();
        var pattern = kill ? "seen-killed" : "seen-stopped";
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(token);
        var since = await _daemon.CursorAsync();
        var following = RunAsync(ctl, $"events --follow --since {since} --subject vault --event domain-feature-set:{pattern}", enough.Token);
        await _daemon.OkAsync("mgmt.vm.feature.Set", "vault", pattern, "1");
        await ctl.UntilOutAsync("value=1", token);
        await (kill ? _daemon.KillHardAsync() : _daemon.StopAsync());
        await _daemon.StartAgainAsync();
        foreach (var value in new[] { "2", "3" })
        {
            await _daemon.OkAsync("mgmt.vm.feature.Set", "vault", pattern, value);
        }
        await ctl.UntilOutAsync("value=3", token);
        await enough.CancelAsync();
        Assert.That(await following, Is.EqualTo(ExitCode.Interrupted));
        var values = ctl.Out.Split('\n').Where(line => line.Contains("domain-feature-set", StringComparison.Ordinal)).Select(line => line.Split('\t')[3]);
        Assert.That(values, Is.EqualTo(new[] { "value=1", "value=2", "value=3" }), ctl.Out + ctl.Error);
    }

    private async Task<string> OkAsync(string args, CancellationToken token)
    {
        var ctl = _client.Ctl();
        Assert.That(await RunAsync(ctl, args, token), Is.Zero, ctl.Error);
        return ctl.Out;
    }

    private static Task<int> RunAsync(Ctl ctl, string args, CancellationToken token) => ctl.RunAsync(token, ["--connect", "qrexec:///", .. args.Split(' ')]);
}
