using System.Security.Cryptography;
using System.Text;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>
/// What real guests write and read, against the calls on their volumes, in two real pools: qcow2, and file-reflink on btrfs. Two boots serve all of it.
/// </summary>
[NonParallelizable]
internal sealed class QemuDataTests
{
    private const int MiB = 1 << 20, FirstSize = 8 * MiB, LaterSize = 64 * MiB, LaterAt = 48;
    private readonly byte[] _imported = DiskImages.Noise(FirstSize, 11);
    private QemuDaemon _qemu = null!;
    private MountedFileSystem _btrfs = null!;

    private DaemonProcess Daemon => _qemu.Process;

    private string Pools => Path.Combine(Daemon.StateDirectory, "pools");

    [OneTimeSetUp]
    public async Task Start()
    {
        _qemu = await QemuDaemon.StartAsync();
        _btrfs = new("btrfs", Path.Combine(Pools, "fast"), 400);
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", "file-reflink", $"name=fast\ndir_path={_btrfs.Path}\n");
        await _qemu.MakeVmAsync("work");
    }

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is null)
        {
            return;
        }
        await _qemu.EndAsync();
        _btrfs?.Dispose();
        await _qemu.DisposeAsync();
    }

    [Test]
    public async Task What_a_guest_wrote_is_what_is_read_back()
    {
        await ImportAsync("work", "ImportWithSize", _imported);
        await _qemu.ReadyAsync("work");
        Assert.That(await SumInGuestAsync(0, 8), Is.EqualTo(Sum(_imported)), "import with size");

        await GuestAsync("head -c 1048576 /dev/urandom > /tmp/one; head -c 1048576 /dev/urandom > /tmp/two; dd if=/tmp/one of=/dev/vdb bs=1M conv=notrunc,fsync");
        var one = await SumInGuestAsync(0, 1);
        var snapshot = await VolumeAsync("Snapshot", "work", "quiesce=no\npin=yes");
        await GuestAsync("dd if=/tmp/two of=/dev/vdb bs=1M conv=notrunc,fsync");
        var two = await SumInGuestAsync(0, 1);
        Assert.That(one, Is.Not.EqualTo(two));

        await GrowAsync();
        var later = await SumInGuestAsync(LaterAt, 1);
        await CloneTheRunningAsync();
        await UpdateTheTemplateAsync();
        await Daemon.OkAsync("mgmt.vm.Kill", "work");

        var disk = await DiskAsync("default", "work");
        Assert.That((disk.Length, Sum(disk, 0), Sum(disk, LaterAt)), Is.EqualTo((LaterSize, two, later)), "what was written after the snapshot");
        Assert.That(disk[MiB..FirstSize], Is.EqualTo(_imported[MiB..]));
        var kept = await DiskImages.ReadAsync(Directory.GetFiles(Path.Combine(Pools, "default", "appvms", "work"), $"private.rev-{snapshot}@*.qcow2").Single());
        Assert.That((kept.Length, Sum(kept, 0)), Is.EqualTo((FirstSize, one)), "the live snapshot");
        await CloneAcrossAsync(disk);

        await VolumeAsync("Revert", "work", snapshot);
        await _qemu.ReadyAsync("work");
        Assert.That(await GuestAsync("cat /sys/block/vdb/size"), Is.EqualTo($"{FirstSize / 512}\n"), "revert");
        Assert.That(await SumInGuestAsync(0, 1), Is.EqualTo(one), "revert");
        Assert.That(await GuestAsync("cat /updated"), Is.EqualTo("yes"), "the template's new root");
        await Daemon.OkAsync("mgmt.vm.Kill", "work");
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default") + await Daemon.OkAsync("mgmt.pool.Check", "dom0", "fast"), Is.Empty);
    }

    [Test]
    public async Task Raw_bytes_that_look_like_a_qcow2_stay_bytes_in_a_raw_pool_too()
    {
        var image = Path.Combine(Daemon.RunDirectory, "sly.qcow2");
        GuestFiles.Run("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", image, "1M");
        var bytes = await File.ReadAllBytesAsync(image);
        Array.Resize(ref bytes, (bytes.Length + 511) / 512 * 512);
        await Daemon.OkAsync("mgmt.vm.CreateInPool.StandaloneVM", "dom0", "", "name=sly label=red pool=fast");
        await _qemu.MakeVmAsync("taken");
        await Daemon.OkAsync("mgmt.vm.property.Set", "sly", "kernel", "");
        await Daemon.OkAsync("mgmt.vm.property.Set", "sly", "memory", "160");
        await ImportAsync("sly", "ImportWithSize", bytes);
        await Daemon.OkAsync("mgmt.vm.Start", "sly");
        var blocks = await RawMonitor.QemuAsync(Directory.GetDirectories(Path.Combine(Daemon.RunDirectory, "vm"), "*-sly").Single(), "query-named-block-nodes");
        Assert.That(blocks, Does.Contain("\"private\"").And.Not.Contain("passwd").And.Not.Contain("\"drv\": \"qcow2\""));
        await Daemon.OkAsync("mgmt.vm.Kill", "sly");
        await VolumeAsync("CloneTo", "taken", await VolumeAsync("CloneFrom", "sly"));
        Assert.That(await DiskAsync("fast", "sly"), Is.EqualTo(bytes));
        Assert.That(await DiskAsync("default", "taken"), Is.EqualTo(bytes));
    }

    /// <summary>The guest sees its disk grow and writes to the new part.</summary>
    private async Task GrowAsync()
    {
        await VolumeAsync("Resize", "work", $"{LaterSize}");
        var seen = await GuestAsync($"n=0; while [ $(cat /sys/block/vdb/size) != {LaterSize / 512} ] && [ $n -lt 200 ]; do usleep 20000; n=$((n+1)); done; cat /sys/block/vdb/size");
        Assert.That(seen, Is.EqualTo($"{LaterSize / 512}\n"));
        await GuestAsync($"dd if=/tmp/one of=/dev/vdb bs=1M seek={LaterAt} conv=notrunc,fsync");
    }

    /// <summary>The copy has what the volume held before the run, in another real pool too.</summary>
    private async Task CloneTheRunningAsync()
    {
        await Daemon.OkAsync("mgmt.vm.Clone", "work", "", "name=near");
        await Daemon.OkAsync("mgmt.vm.CloneInPool", "work", "", "name=away pool:private=fast");
        Assert.That(await DiskAsync("default", "near"), Is.EqualTo(_imported));
        Assert.That(await DiskAsync("fast", "away"), Is.EqualTo(_imported));
    }

    /// <summary>A template's new root is not seen by what runs on the old one.</summary>
    private async Task UpdateTheTemplateAsync()
    {
        const string Whole = "echo 3 > /proc/sys/vm/drop_caches; find /bin /lib /sbin /usr /etc/init.d -type f | sort | xargs md5sum | md5sum";
        var before = await GuestAsync(Whole);
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "work", "root"), Does.Contain("\nis_outdated=False\n"));
        var image = Path.Combine(Daemon.RunDirectory, "root.img");
        File.Copy(GuestFiles.RootImage, image);
        var file = Path.Combine(Daemon.RunDirectory, "updated");
        await File.WriteAllTextAsync(file, "yes");
        GuestFiles.Run("/sbin/debugfs", "-w", "-R", $"write {file} updated", image);
        await ImportAsync("base", "Import", await File.ReadAllBytesAsync(image), "root");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "work", "root"), Does.Contain("\nis_outdated=True\n"));
        Assert.That(await GuestAsync(Whole + "; ! [ -e /updated ]"), Is.EqualTo(before));
    }

    /// <summary>From qcow2 to file-reflink, there within the pool, and back.</summary>
    private async Task CloneAcrossAsync(byte[] disk)
    {
        await Daemon.OkAsync("mgmt.vm.CloneInPool", "away", "", "name=further pool:private=fast");
        foreach (var (from, to, pool) in new[] { ("work", "away", "fast"), ("away", "further", "fast"), ("further", "near", "default") })
        {
            await VolumeAsync("CloneTo", to, await VolumeAsync("CloneFrom", from));
            Assert.That((await DiskAsync(pool, to)).AsSpan().SequenceEqual(disk), Is.True, $"{from} to {to}");
        }
    }

    private Task<string> GuestAsync(string script) => GuestShell.RunAsync(_qemu, "work", script);

    /// <summary>The hash of so many MiB of the guest's private disk, as the guest reads it from the disk.</summary>
    private async Task<string> SumInGuestAsync(int at, int count) =>
        (await GuestAsync($"echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vdb bs=1M skip={at} count={count} 2>/dev/null | sha256sum")).Split(' ')[0];

    private static string Sum(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static string Sum(byte[] disk, int at) => Sum(disk.AsSpan(at * MiB, MiB));

    private Task<byte[]> DiskAsync(string pool, string vm) => DiskImages.ReadAsync(Path.Combine(Pools, pool, "appvms", vm, "private" + (pool == "fast" ? ".img" : ".qcow2")));

    private Task<string> VolumeAsync(string call, string vm, string payload = "") => Daemon.OkAsync("mgmt.vm.volume." + call, vm, "private", payload);

    private async Task ImportAsync(string vm, string call, byte[] bytes, string volume = "private")
    {
        var header = Encoding.ASCII.GetBytes($"mgmt.vm.volume.{call}+{volume} dom0 name {vm}\0{(call == "Import" ? "" : $"{bytes.Length}\n")}");
        Assert.That(await Daemon.SendRawAsync((byte[])[.. header, .. bytes]), Is.EqualTo("0\0"u8.ToArray()));
    }
}
