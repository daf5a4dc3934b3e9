using System.Text;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>A pool on a file system that is really full: each call says so and changes nothing, and a guest waits for room.</summary>
[NonParallelizable]
internal sealed class QemuFullDiskTests
{
    private const int MiB = 1 << 20, SmallMiB = 32;
    private static readonly byte[] s_held = DiskImages.Noise(MiB, 21);
    private QemuDaemon _qemu = null!;
    private MountedFileSystem _small = null!;

    private DaemonProcess Daemon => _qemu.Process;

    private string Filler => Path.Combine(_small.Path, "filler");

    private static readonly Dictionary<string, (string Call, string Vm, string Argument, string Payload)> s_calls = new(StringComparer.Ordinal)
    {
        ["Import"] = ("vm.volume.Import", "held", "private", new string('x', MiB)),
        ["ImportWithSize"] = ("vm.volume.ImportWithSize", "held", "private", $"{2 * MiB}\n" + new string('x', 2 * MiB)),
        ["CloneTo"] = ("vm.volume.CloneTo", "held", "private", "{token}"),
        ["Clear"] = ("vm.volume.Clear", "held", "private", ""),
        ["Resize, larger"] = ("vm.volume.Resize", "held", "private", $"{1L << 44}"),
        ["Resize, smaller"] = ("vm.volume.Resize", "held", "private", "524288 force"),
        ["Snapshot of a running VM"] = ("vm.volume.Snapshot", "runs", "private", "quiesce=no"),
        ["Start"] = ("vm.Start", "held", "", ""),
        ["Create"] = ("vm.CreateInPool.StandaloneVM", "dom0", "", "name=fresh label=red pool=full"),
        ["Clone"] = ("vm.CloneInPool", "source", "", "name=fresh pool=full"),
        ["CreateTemplate"] = ("vm.CreateTemplate", "dom0", $"fresh+{MiB}", new string('x', MiB)),
    };

    private static IEnumerable<string> Calls => s_calls.Keys;

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        _small = new("tmpfs", Path.Combine(Daemon.StateDirectory, "pools", "full"), SmallMiB);
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", "qcow2", $"name=full\ndir_path={_small.Path}\n");
        foreach (var (name, pool) in new[] { ("held", "full"), ("runs", "full"), ("source", "default") })
        {
            await Daemon.OkAsync("mgmt.vm.CreateInPool.StandaloneVM", "dom0", "", $"name={name} label=red pool={pool}");
            await Daemon.OkAsync("mgmt.vm.property.Set", name, "kernel", "");
            await Daemon.OkAsync("mgmt.vm.property.Set", name, "memory", "160");
            await Daemon.OkAsync("mgmt.vm.volume.Resize", name, "private", $"{MiB} force");
            var header = Encoding.ASCII.GetBytes($"mgmt.vm.volume.Import+private dom0 name {name}\0");
            Assert.That(await Daemon.SendRawAsync((byte[])[.. header, .. s_held]), Is.EqualTo("0\0"u8.ToArray()));
        }
        await Daemon.OkAsync("mgmt.vm.Start", "runs");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is null)
        {
            return;
        }
        await _qemu.EndAsync();
        _small?.Dispose();
        await _qemu.DisposeAsync();
    }

    [TearDown]
    public void MakeRoom() => File.Delete(Filler);

    [TestCaseSource(nameof(Calls))]
    public async Task A_call_without_room_says_so_and_changes_nothing(string what)
    {
        var (call, vm, argument, payload) = s_calls[what];
        if (call == "vm.CreateTemplate")
        {
            await Daemon.OkAsync("mgmt.property.Set", "dom0", "default_pool_root", "full");
        }
        payload = payload.Replace("{token}", payload == "{token}" ? await Daemon.OkAsync("mgmt.vm.volume.CloneFrom", "source", "private") : "", StringComparison.Ordinal);
        var before = await SeenAsync();
        FillUp();
        await Daemon.RefusedAsync(ErrorCode.MgmtNoSpaceError, "mgmt." + call, vm, argument, payload);
        Assert.That(await SeenAsync(), Is.EqualTo(before));
        var image = Path.Combine(_small.Path, "appvms", "held", "private.qcow2");
        Assert.That((await DiskImages.ReadAsync(image)).AsSpan().SequenceEqual(s_held), Is.True);
        MakeRoom();
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "full"), Is.Empty);
        await Daemon.OkAsync("mgmt.property.Reset", "dom0", "default_pool_root");
    }

    [Test]
    public async Task A_guest_that_fills_its_pool_waits_and_goes_on_when_there_is_room()
    {
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "base", "name=fills label=red pool:private=full");
        await Daemon.OkAsync("mgmt.vm.property.Set", "fills", "memory", "160");
        await _qemu.ReadyAsync("fills");
        await GuestShell.RunAsync(_qemu, "fills", $"(head -c {SmallMiB * MiB} /dev/urandom > /tmp/data; md5sum < /tmp/data > /tmp/sum; dd if=/tmp/data of=/dev/vdb bs=64k conv=fsync; touch /tmp/done) > /dev/null 2>&1 &");
        await using var events = await Daemon.EventsAsync("since=now\nsubject=fills");
        if (await Daemon.StateAsync("fills") != "Paused")
        {
            await QemuDaemon.UntilAsync(events, e => e.Name == "domain-paused");
        }
        Assert.That(await Daemon.OkAsync("mgmt.vm.CurrentState", "fills"), Does.Contain("power_state=Paused").And.Contain("fault=no-space"));
        _small.Resize(4 * SmallMiB);
        await Daemon.OkAsync("mgmt.vm.Unpause", "fills");
        await QemuDaemon.UntilAsync(events, e => e.Name == "fault-cleared" && e["fault"] == "no-space");
        const string Compare = "n=0; while ! [ -e /tmp/done ] && [ $n -lt 1000 ]; do usleep 20000; n=$((n+1)); done; echo 3 > /proc/sys/vm/drop_caches; ";
        var script = Compare + $"head -c {SmallMiB * MiB} /dev/vdb | md5sum | diff - /tmp/sum && ! dmesg | grep 'I/O error'";
        await GuestShell.RunAsync(_qemu, "fills", script);
        await Daemon.OkAsync("mgmt.vm.Kill", "fills");
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "full"), Is.Empty);
    }

    /// <summary>All that a caller or an administrator sees: what VMs there are, the volumes and their revisions, and the pool's files.</summary>
    private async Task<string> SeenAsync()
    {
        var seen = new StringBuilder(await Daemon.OkAsync("mgmt.vm.List"));
        foreach (var vm in new[] { "held", "runs" })
        {
            var info = await Daemon.OkAsync("mgmt.vm.volume.Info", vm, "private");
            seen.Append(string.Join('\n', info.Split('\n').Where(line => !line.StartsWith("usage", StringComparison.Ordinal))));
            seen.Append(await Daemon.OkAsync("mgmt.vm.volume.ListSnapshots", vm, "private"));
        }
        return seen.Append(string.Join('\n', Directory.EnumerateFiles(_small.Path, "*", SearchOption.AllDirectories).Where(file => file != Filler).Order(StringComparer.Ordinal))).ToString();
    }

    private void FillUp()
    {
        using var file = File.OpenHandle(Filler, FileMode.CreateNew, FileAccess.Write);
        foreach (var step in (int[])[MiB, 4096])
        {
            try
            {
                while (true)
                {
                    RandomAccess.Write(file, new byte[step], RandomAccess.GetLength(file));
                }
            }
            catch (IOException)
            {
                // Full, in such steps.
            }
        }
    }
}
