using System.Text;
using System.Text.RegularExpressions;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Ephemeral volumes from the calls to the bytes on the disk, with a real guest.</summary>
[NonParallelizable]
internal sealed partial class QemuEphemeralTests
{
    private const string Pattern = "what-the-guest-wrote";
    private const string FindDisk = "for b in /sys/block/vd*; do [ \"$(cat $b/serial)\" = volatile ] && d=/dev/${b##*/}; done; ";

    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    private string RunDirectory => Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm"), "*-secret").Single();

    private string RunFile => Path.Combine(Daemon.StateDirectory, "pools", "default", "appvms", "secret", "volatile.run.qcow2");

    [SetUp]
    public async Task Start() => _qemu = await QemuDaemon.StartAsync();

    [TearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    [Test]
    public async Task What_a_guest_writes_is_unreadable_on_the_host_outlives_kill_9_of_the_daemon_and_ends_with_the_run()
    {
        await Daemon.OkAsync("mgmt.pool.Set.ephemeral_volatile", "dom0", "default", "yes");
        await _qemu.MakeVmAsync("secret");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "secret", "volatile"), Does.Contain("\nephemeral=True\n"));
        await Daemon.OkAsync("mgmt.vm.volume.Resize", "secret", "volatile", "4194304 force");
        await _qemu.ReadyAsync("secret");
        // Each look into the guest is a kill -9 of the daemon and an adoption.
        await GuestShell.RunAsync(_qemu, "secret", $"{FindDisk} yes {Pattern} | head -c 1048576 > $d; sync");
        AssertUnreadable();
        AssertNoKeyAnywhere();
        await Daemon.OkAsync("mgmt.vm.volume.Resize", "secret", "volatile", "8388608");
        var refused = await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Snapshot", "secret", "volatile");
        Assert.That(refused.Message, Is.EqualTo("Volume volatile of secret is ephemeral: a snapshot would keep its content in the clear"));
        var read = await GuestShell.RunAsync(_qemu, "secret", $"{FindDisk} echo 3 > /proc/sys/vm/drop_caches; head -n 1 $d; cat /sys/block/${{d##*/}}/size");
        Assert.That(read, Is.EqualTo($"{Pattern}\n16384\n"));
        await Daemon.OkAsync("mgmt.vm.Kill", "secret");
        Assert.That(File.Exists(RunFile), Is.False);
        await _qemu.ReadyAsync("secret");
        Assert.That(await GuestShell.RunAsync(_qemu, "secret", $"{FindDisk} head -c 1048576 $d | grep -c {Pattern} || true"), Is.EqualTo("0\n"));
    }

    [Test]
    public async Task What_the_end_of_the_host_left_is_removed_when_it_is_up_again()
    {
        await _qemu.MakeVmAsync("secret");
        await Daemon.OkAsync("mgmt.vm.volume.Set.ephemeral", "secret", "volatile", "yes");
        await Daemon.OkAsync("mgmt.vm.Start", "secret");
        var since = await Daemon.CursorAsync();
        var pid = _qemu.Pid("secret");
        await Daemon.KillHardAsync();
        TestSignal.Send(pid, TestSignal.Kill);
        await TestSignal.GoneAsync(pid);
        Assert.That(File.Exists(RunFile), Is.True);
        await Daemon.StartAgainAsync();
        await using var events = await Daemon.EventsAsync($"since={since}\nsubject=secret\nevent=domain-shutdown");
        await QemuDaemon.UntilAsync(events, e => e["reason"] == "unseen");
        Assert.That(File.Exists(RunFile), Is.False);
    }

    private void AssertUnreadable()
    {
        var bytes = File.ReadAllBytes(RunFile);
        Assert.That(bytes.AsSpan().StartsWith("LUKS"u8), Is.True);
        Assert.That(bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(Pattern)), Is.Negative);
    }

    /// <summary>A key is 44 characters of base64; nothing else here looks like that.</summary>
    private void AssertNoKeyAnywhere()
    {
        Assert.That(Key().IsMatch(Convert.ToBase64String(new byte[32])), Is.True);
        Assert.That(Key().IsMatch(Daemon.Log), Is.False, "log");
        foreach (var file in new[] { "cmdline", "environ" })
        {
            Assert.That(Key().IsMatch(File.ReadAllText($"/proc/{_qemu.Pid("secret")}/{file}", Encoding.Latin1)), Is.False, file);
        }
        // The sockets, and an empty file that the daemon holds a lock on, cannot be read.
        var files = new[] { Daemon.StateDirectory, RunDirectory }.SelectMany(Directory.EnumerateFiles).Where(file => Path.GetFileName(file).TrimEnd("0123456789".ToCharArray()) is not ("qmp" or "rescue" or "agent" or "port" or "exec" or "lock")).ToList();
        Assert.That(files, Is.Not.Empty);
        Assert.That(files.Where(file => Key().IsMatch(File.ReadAllText(file, Encoding.Latin1))), Is.Empty);
    }

    [GeneratedRegex("(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=")]
    private static partial Regex Key();
}
