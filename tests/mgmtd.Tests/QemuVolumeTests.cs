using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>The calls on volumes with real qcow2 images: what is on the disk after them.</summary>
[NonParallelizable]
internal sealed class QemuVolumeTests
{
    private const int MiB = 1 << 20;
    private QemuDaemon _qemu = null!;

    private DaemonProcess Daemon => _qemu.Process;

    private string PoolDirectory => Path.Combine(Daemon.StateDirectory, "pools", "default");

    [OneTimeSetUp]
    public async Task Start() => _qemu = await QemuDaemon.StartAsync();

    [OneTimeTearDown]
    public async Task Stop()
    {
        if (_qemu is not null)
        {
            await _qemu.DisposeAsync();
        }
    }

    private Task<string> VolumeAsync(string call, string vm, string payload = "") => Daemon.OkAsync("mgmt.vm.volume." + call, vm, "private", payload);

    private string Image(string vm) => Path.Combine(PoolDirectory, "appvms", vm, "private.qcow2");

    private static async Task<string> QemuImgAsync(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("qemu-img", arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero, string.Join(' ', arguments));
        return output;
    }

    private async Task<byte[]> ContentAsync(string vm)
    {
        var raw = Path.Combine(Daemon.RunDirectory, vm + ".raw");
        await QemuImgAsync("convert", "-f", "qcow2", "-O", "raw", Image(vm), raw);
        return await File.ReadAllBytesAsync(raw);
    }

    private async Task<long> DiskSizeAsync(string vm)
    {
        using var info = JsonDocument.Parse(await QemuImgAsync("info", "-U", "-f", "qcow2", "--output=json", Image(vm)));
        return info.RootElement.GetProperty("virtual-size").GetInt64();
    }

    private async Task<long> RecordedSizeAsync(string vm) => long.Parse((await VolumeAsync("Info", vm)).Split('\n').Single(line => line.StartsWith("size=", StringComparison.Ordinal))[5..], CultureInfo.InvariantCulture);

    private async Task ImportAsync(string vm, byte[] bytes, bool withSize)
    {
        var header = Encoding.ASCII.GetBytes($"mgmt.vm.volume.{(withSize ? "ImportWithSize" : "Import")}+private dom0 name {vm}\0{(withSize ? $"{bytes.Length}\n" : "")}");
        Assert.That(await Daemon.SendRawAsync((byte[])[.. header, .. bytes]), Is.EqualTo("0\0"u8.ToArray()));
    }

    private static byte[] Noise(int bytes, int seed)
    {
        var noise = new byte[bytes];
        new Random(seed).NextBytes(noise);
        return noise;
    }

    [Test]
    public async Task What_was_imported_comes_back_after_snapshot_import_and_revert()
    {
        await _qemu.MakeVmAsync("bytes");
        await VolumeAsync("Resize", "bytes", $"{MiB} force");
        Assert.That(await DiskSizeAsync("bytes"), Is.EqualTo(MiB));
        var (first, second) = (Noise(MiB, 1), Noise(2 * MiB, 2));
        await ImportAsync("bytes", first, withSize: false);
        Assert.That(await ContentAsync("bytes"), Is.EqualTo(first));
        var kept = await VolumeAsync("Snapshot", "bytes", "pin=yes");
        await ImportAsync("bytes", second, withSize: true);
        Assert.That(await ContentAsync("bytes"), Is.EqualTo(second));
        Assert.That(await RecordedSizeAsync("bytes"), Is.EqualTo(2 * MiB));
        await VolumeAsync("Revert", "bytes", kept);
        Assert.That(await ContentAsync("bytes"), Is.EqualTo(first));
        Assert.That(await RecordedSizeAsync("bytes"), Is.EqualTo(MiB));
        await _qemu.MakeVmAsync("copied");
        await VolumeAsync("CloneTo", "copied", await VolumeAsync("CloneFrom", "bytes"));
        Assert.That(await ContentAsync("copied"), Is.EqualTo(first));
        await Daemon.RefusedAsync(ErrorCode.ProtocolError, "mgmt.vm.volume.Import", "copied", "private", "short");
        Assert.That(await ContentAsync("copied"), Is.EqualTo(first));
        await VolumeAsync("Clear", "copied");
        Assert.That(await ContentAsync("copied"), Is.EqualTo(new byte[MiB]));
    }

    [Test]
    public async Task Bytes_that_look_like_a_qcow2_with_a_backing_file_stay_bytes()
    {
        await _qemu.MakeVmAsync("sly");
        var image = Path.Combine(Daemon.RunDirectory, "sly.qcow2");
        await QemuImgAsync("create", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", image, "1M");
        var bytes = await File.ReadAllBytesAsync(image);
        Array.Resize(ref bytes, (bytes.Length + 511) / 512 * 512);
        await ImportAsync("sly", bytes, withSize: true);
        Assert.That(await ContentAsync("sly"), Is.EqualTo(bytes));
        using var info = JsonDocument.Parse(await QemuImgAsync("info", "-f", "qcow2", "--output=json", Image("sly")));
        Assert.That(info.RootElement.TryGetProperty("backing-filename", out _), Is.False);
    }

    [Test]
    public async Task A_link_planted_in_a_pool_is_not_followed()
    {
        await _qemu.MakeVmAsync("linked");
        var elsewhere = Directory.CreateDirectory(Path.Combine(Daemon.RunDirectory, "elsewhere")).FullName;
        var directory = Path.GetDirectoryName(Image("linked"))!;
        Directory.Move(directory, Path.Combine(elsewhere, "linked"));
        Directory.CreateSymbolicLink(directory, Path.Combine(elsewhere, "linked"));
        try
        {
            foreach (var (call, payload) in new[] { ("Snapshot", ""), ("Resize", "4294967296"), ("Clear", "") })
            {
                await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume." + call, "linked", "private", payload);
            }
        }
        finally
        {
            File.Delete(directory);
            Directory.Move(Path.Combine(elsewhere, "linked"), directory);
        }
        Assert.That(Directory.EnumerateFileSystemEntries(directory).Select(Path.GetFileName), Is.EquivalentTo(new[] { "private.qcow2" }));
    }

    [TestCase("Snapshot", "")]
    [TestCase("Resize", "4294967296")]
    [TestCase("Clear", "")]
    [TestCase("CloneTo", "")]
    [TestCase("Start", "")]
    public async Task A_link_planted_as_an_image_is_not_followed(string call, string payload)
    {
        var vm = "planted-" + call.ToLowerInvariant();
        await _qemu.MakeVmAsync(vm);
        var outside = Path.Combine(Daemon.RunDirectory, vm);
        await File.WriteAllTextAsync(outside, "secret");
        File.Move(Image(vm), outside + ".kept");
        File.CreateSymbolicLink(Image(vm), outside);
        await _qemu.MakeVmAsync(vm + "-source");
        payload = call == "CloneTo" ? await VolumeAsync("CloneFrom", vm + "-source") : payload;
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, call == "Start" ? "mgmt.vm.Start" : "mgmt.vm.volume." + call, vm, call == "Start" ? "" : "private", payload);
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default", "mend"), Does.Contain($"unknown appvms/{vm}/private.qcow2 mended=no").And.Contain($"damaged appvms/{vm}/private mended=no"));
        Assert.That(await File.ReadAllTextAsync(outside), Is.EqualTo("secret"));
        Assert.That(new FileInfo(Image(vm)).LinkTarget, Is.EqualTo(outside), "never deleted");
        File.Move(outside + ".kept", Image(vm), overwrite: true);
        await Daemon.OkAsync("mgmt.vm.Remove", vm);
    }

    [Test]
    public async Task A_vm_is_not_made_through_a_link_that_was_planted_and_nothing_is_removed_through_one()
    {
        var outside = Directory.CreateDirectory(Path.Combine(Daemon.RunDirectory, "outside")).FullName;
        await File.WriteAllTextAsync(Path.Combine(outside, "private.qcow2"), "mine");
        var planted = Path.Combine(PoolDirectory, "appvms", "through");
        Directory.CreateDirectory(Path.GetDirectoryName(planted)!);
        Directory.CreateSymbolicLink(planted, outside);
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.Create.AppVM", "dom0", "base", "name=through label=red");
        Assert.That(await Daemon.OkAsync("mgmt.vm.List"), Does.Not.Contain("through"));
        Assert.That(Directory.EnumerateFileSystemEntries(outside).Select(Path.GetFileName), Is.EqualTo(new[] { "private.qcow2" }));
        Assert.That(await File.ReadAllTextAsync(Path.Combine(outside, "private.qcow2")), Is.EqualTo("mine"));
        File.Delete(planted);
        await _qemu.MakeVmAsync("through");
        await Daemon.OkAsync("mgmt.vm.Remove", "through");
    }

    [TestCase("/etc")]
    [TestCase("{state}/pools/link/inside")]
    [TestCase("{state}/pools/../elsewhere")]
    [TestCase("{state}")]
    [TestCase("relative")]
    public async Task A_pool_outside_the_pool_roots_is_not_added(string path)
    {
        var link = Path.Combine(Daemon.StateDirectory, "pools", "link");
        if (path.Contains("link", StringComparison.Ordinal))
        {
            Directory.CreateSymbolicLink(link, Daemon.RunDirectory);
        }
        path = path.Replace("{state}", Daemon.StateDirectory, StringComparison.Ordinal);
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.pool.Add", "dom0", "qcow2", $"name=outside\ndir_path={path}\n");
        Assert.That(await Daemon.OkAsync("mgmt.pool.List"), Does.Not.Contain("outside"));
        Assert.That(Directory.Exists(Path.Combine(Daemon.RunDirectory, "inside")), Is.False);
        File.Delete(link);
    }

    [Test]
    public async Task Pools_sizes_settings_and_revisions_are_as_they_were_after_kill_9_of_the_daemon()
    {
        var overThere = $"dir_path={Daemon.StateDirectory}/pools/over-there\n";
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", "qcow2", "name=stays\n" + overThere);
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.pool.Add", "dom0", "qcow2", "name=twice\n" + overThere);
        await Daemon.OkAsync("mgmt.pool.Add", "dom0", "qcow2", "name=goes\n");
        await Daemon.OkAsync("mgmt.pool.Remove", "dom0", "goes");
        await Daemon.OkAsync("mgmt.pool.Set.revisions_to_keep", "dom0", "stays", "5");
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "base", "name=there label=red pool:private=stays");
        await VolumeAsync("Snapshot", "there", "name=one\npin=yes\n");
        await VolumeAsync("Resize", "there", "3221225472");
        var before = (await VolumeAsync("Info", "there"), await VolumeAsync("SnapshotInfo", "there", "1"));
        await Daemon.KillHardAsync();
        await Daemon.StartAgainAsync();
        Assert.That((await VolumeAsync("Info", "there"), await VolumeAsync("SnapshotInfo", "there", "1")), Is.EqualTo(before));
        Assert.That(before.Item1, Does.Contain("\nsize=3221225472\n").And.Contain("\nrevisions_to_keep=5\n"));
        Assert.That(await Daemon.OkAsync("mgmt.pool.List"), Does.Contain("stays\n").And.Not.Contain("goes\n").And.Not.Contain("twice\n"));
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "stays"), Is.Empty);
        await Daemon.OkAsync("mgmt.vm.Remove", "there");
        await Daemon.OkAsync("mgmt.pool.Remove", "dom0", "stays");
        Assert.That(Directory.Exists(Path.Combine(Daemon.StateDirectory, "pools", "over-there")), Is.True, "its files stay");
    }

    [Test]
    public async Task A_check_finds_what_is_not_as_recorded_and_mends_what_it_may()
    {
        await _qemu.MakeVmAsync("checked");
        await QemuImgAsync("resize", "-f", "qcow2", Image("checked"), "3G");
        var stranger = Path.Combine(PoolDirectory, "stranger.qcow2");
        await File.WriteAllTextAsync(stranger, "not ours");
        var found = await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default");
        Assert.That(found, Does.Contain("size appvms/checked/private mended=no the disk has 3221225472 bytes, the record says 2147483648\n").And.Contain("mended=no").And.Contain("stranger"));
        Assert.That(await RecordedSizeAsync("checked"), Is.EqualTo(2147483648));
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default", "mend"), Does.Contain("size appvms/checked/private mended=yes "));
        Assert.That(await RecordedSizeAsync("checked"), Is.EqualTo(3221225472));
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default"), Does.Not.Contain("appvms/checked"));
        Assert.That(File.Exists(stranger), Is.True);
        File.Delete(stranger);
    }

    [Test]
    public async Task The_disk_of_a_running_vm_grows_and_is_that_large_after_its_end()
    {
        await _qemu.MakeVmAsync("grows");
        await Daemon.OkAsync("mgmt.vm.Start", "grows");
        await VolumeAsync("Resize", "grows", "3221225472");
        Assert.That(await RecordedSizeAsync("grows"), Is.EqualTo(3221225472));
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.volume.Resize", "grows", "private", "1073741824 force");
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "default", "mend"), Does.Not.Contain("grows"));
        await Daemon.OkAsync("mgmt.vm.Kill", "grows");
        Assert.That(await DiskSizeAsync("grows"), Is.EqualTo(3221225472));
        Assert.That(await RecordedSizeAsync("grows"), Is.EqualTo(3221225472));
    }
}
