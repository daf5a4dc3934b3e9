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
        Assert.That(await TextAsync(daemon, token, "clone lone spare --pool-of root=fast"), Is.Empty);
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

    [Test]
    public async Task A_volume_is_filled_kept_grown_brought_back_copied_and_emptied(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Slow.Replace("1500", "0", StringComparison.Ordinal) });
        var image = Path.GetTempFileName();
        await File.WriteAllBytesAsync(image, new byte[512 * 1024], token);
        Assert.That(await TextAsync(daemon, token, "clone lone spare"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume set lone:root revisions_to_keep 5"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, $"volume import lone:root {image}"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume info lone:root"), Does.Contain("size\t524288\n"));
        var id = (await TextAsync(daemon, token, "volume snapshot lone:root --name before --pin")).TrimEnd('\n');
        Assert.That(await TextAsync(daemon, token, "volume resize lone:root 2MiB"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, $"volume snapshot-info lone:root {id}"), Does.Contain("name\tbefore\n").And.Contain("pinned\tTrue\n").And.Contain("size\t524288\n"));
        Assert.That(await TextAsync(daemon, token, "volume snapshots lone:root"), Does.Match($"(?m)^{id}\t[^\t]+\tbefore\tTrue\tsnapshot\tyes\t524288$"));
        Assert.That(await TextAsync(daemon, token, $"words -- volume revert lone:root {id}"), Is.EqualTo(id + "\n"));
        Assert.That(await TextAsync(daemon, token, $"volume revert lone:root {id}"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume info lone:root"), Does.Contain("size\t524288\n"));
        Assert.That(await TextAsync(daemon, token, "volume clone lone:root spare:root"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume info spare:root"), Does.Contain("size\t524288\n").And.Contain("usage\t524288\n"));
        Assert.That(await TextAsync(daemon, token, "volume clear spare:root"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume info spare:root"), Does.Contain("usage\t0\n"));
        await RefusedAsync(daemon, token, $"volume rm-snapshot lone:root {id}", "pinned");
        Assert.That(await TextAsync(daemon, token, $"volume rm-snapshot --force lone:root {id}"), Is.Empty);
        await RefusedAsync(daemon, token, $"volume revert lone:root {id}", id);
        await RefusedAsync(daemon, token, "volume resize lone:root 1KiB", "");
        await RefusedAsync(daemon, token, "volume set lone:root ephemeral yes", "cannot be ephemeral: only a writable one that begins empty and keeps nothing can");
        Assert.That(await TextAsync(daemon, token, "volume resize --force lone:root 1KiB"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume set lone:root rw no"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "volume info lone:root"), Does.Contain("rw\tFalse\n").And.Contain("size\t1024\n"));
    }

    [TestCase("volume snapshot lone:root --progress")]
    [TestCase("volume clone lone:root spare:root --progress")]
    public async Task What_a_volume_tells_is_the_daemons_progress(string args, CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Slow.Replace("1500", "300", StringComparison.Ordinal) });
        await TextAsync(daemon, token, "clone lone spare");
        var ctl = new Ctl(daemon.SocketPath);
        Assert.That(await ctl.RunAsync(token, args.Split(' ')), Is.Zero, ctl.Error);
        Assert.That(ctl.Error, Does.Contain("0 B of 1 MiB (0%)").And.Contain("1 MiB of 1 MiB (100%)"));
    }

    [Test]
    public async Task Data_of_another_length_is_refused_and_changes_nothing(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Slow });
        foreach (var args in new[] { "volume import lone:root -", "volume import lone:root - --size 1KiB" })
        {
            var ctl = new Ctl(daemon.SocketPath) { Input = "short" };
            Assert.That((await ctl.RunAsync(token, args.Split(' ')), ctl.Error.Count(c => c == '\n')), Is.EqualTo((1, 1)));
            Assert.That(ctl.Error, Does.Contain("not enough data"));
        }
        Assert.That(await TextAsync(daemon, token, "volume info lone:root"), Does.Contain("size\t1048576\n").And.Contain("usage\t0\n"));
        Assert.That(await TextAsync(daemon, token, "volume snapshots lone:root"), Is.Empty);
    }

    [Test]
    public async Task A_pool_is_added_set_looked_at_checked_and_removed(CancellationToken token)
    {
        await using var daemon = await DaemonProcess.StartAsync(new DaemonOptions { Host = Slow });
        Assert.That(await TextAsync(daemon, token, "pool add new qcow2 size=4096 revisions_to_keep=2"), Is.Empty);
        await RefusedAsync(daemon, token, "pool add new qcow2", "new");
        await RefusedAsync(daemon, token, "pool add other qcow2 colour=red", "");
        await RefusedAsync(daemon, token, "pool add other nothing", "");
        Assert.That(await TextAsync(daemon, token, "pool set new revisions_to_keep -1"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "pool info new"), Does.Contain("revisions_to_keep\t-1\n").And.Contain("size\t4096\n"));
        Assert.That(await TextAsync(daemon, token, "pool usage new"), Does.Contain("data_size\t4096\n"));
        Assert.That(await TextAsync(daemon, token, "pool volumes default"), Does.StartWith("lone/root\t1048576\t0\tTrue\tTrue\tFalse\t"));
        Assert.That(await TextAsync(daemon, token, "pool check"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "pool set new ephemeral_volatile yes"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "pool add kernels linux-kernel"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "pool check"), Is.Empty);
        await RefusedAsync(daemon, token, "pool set kernels ephemeral_volatile yes", "no setting ephemeral_volatile");
        await RefusedAsync(daemon, token, "pool rm default", "");
        Assert.That(await TextAsync(daemon, token, "pool rm new"), Is.Empty);
        Assert.That(await TextAsync(daemon, token, "pool ls"), Does.Not.Contain("new\t"));
    }

    /// <summary>What it writes when it does what it is told, and says nothing more.</summary>
    private static async Task<string> TextAsync(DaemonProcess daemon, CancellationToken token, string args)
    {
        var ctl = new Ctl(daemon.SocketPath);
        Assert.That((await ctl.RunAsync(token, args.Split(' ')), ctl.Error), Is.EqualTo((0, "")), args);
        return ctl.Out;
    }

    private static async Task RefusedAsync(DaemonProcess daemon, CancellationToken token, string args, string reason)
    {
        var ctl = new Ctl(daemon.SocketPath);
        Assert.That((await ctl.RunAsync(token, args.Split(' ')), ctl.Out, ctl.Error.Count(c => c == '\n')), Is.EqualTo((1, "", 1)), args);
        Assert.That(ctl.Error, Does.StartWith("mgmtctl: ").And.Contain(reason));
    }
}
