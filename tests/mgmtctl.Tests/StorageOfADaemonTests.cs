using Mgmt.Testing;

namespace Mgmt.Cli.Tests;

/// <summary>The storage verbs with a real daemon on a test host.</summary>
[CancelAfter(60_000)]
public sealed class StorageOfADaemonTests
{
    private const string Slow = """
        { "pools": { "default": { "driver": "qcow2" }, "fast": { "driver": "qcow2" } },
          "behaviour": { "delays": { "storage": 1500 } },
          "vms": { "lone": { "class": "StandaloneVM", "volumes": {
            "root": { "pool": "default", "vid": "lone/root", "size": 1048576, "rw": true, "save_on_stop": true, "snap_on_start": false } } } } }
        """;

    [Test]
    public async Task A_vm_is_cloned_and_its_volumes_are_where_they_were_asked_to_be(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Slow });
        Assert.That(await RunAsync(daemon, token, "clone", "lone", "spare", "--pool-of", "root=fast", "--progress"), Is.Zero);
        var ctl = new Ctl(daemon.SocketPath);
        Assert.That((await ctl.RunAsync(token, "volume", "info", "spare:root"), ctl.Error), Is.EqualTo((0, "")));
        Assert.That(ctl.Out, Does.Contain("pool\tfast\n").And.Contain("size\t1048576\n"));
    }

    [Test]
    public async Task What_a_clone_tells_is_the_daemons_progress(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Slow });
        var ctl = new Ctl(daemon.SocketPath);
        Assert.That(await ctl.RunAsync(token, "clone", "lone", "spare", "--progress"), Is.Zero);
        Assert.That(ctl.Error, Does.StartWith("spare: 0 B").And.Contain("1 MiB of 1 MiB (100%)"));
        Assert.That((await new Ctl(daemon.SocketPath).RunAsync(token, "clone", "lone", "quiet"), ctl.Out), Is.EqualTo((0, "")));
    }

    [Test]
    public async Task A_clone_that_cannot_be_made_is_one_line(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync();
        foreach (var args in new[] { "clone work vault", "clone nobody new", "clone work new --pool nowhere", "clone work new --pool-of root=nowhere" })
        {
            var ctl = new Ctl(daemon.SocketPath);
            Assert.That((await ctl.RunAsync(token, args.Split(' ')), ctl.Out, ctl.Error.Count(c => c == '\n')), Is.EqualTo((1, "", 1)), args);
        }
    }

    [Test]
    public async Task Volumes_and_pools_of_a_daemon_are_completed(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync();
        foreach (var (typed, words) in new[] { ("volume info work:pr", "work:private\n"), ("volume info vau", "vault:\n"), ("pool info d", "default\n"), ("pool add fast q", "qcow2\n"), ("clone work new --pool l", "linux-kernel\n") })
        {
            var ctl = new Ctl(daemon.SocketPath);
            Assert.That((await ctl.RunAsync(token, ["words", "--", .. typed.Split(' ')]), ctl.Out), Is.EqualTo((0, words)), typed);
        }
    }

    private static Task<int> RunAsync(DaemonProcess daemon, CancellationToken token, params string[] args) => new Ctl(daemon.SocketPath).RunAsync(token, args);
}
