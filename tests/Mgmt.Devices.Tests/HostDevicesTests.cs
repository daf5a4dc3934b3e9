using System.Text;
using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mgmt.Devices.Tests;

/// <summary>What is read from sysfs, of devices that this machine need not have and of such as none should.</summary>
public sealed class HostDevicesTests
{
    private SysDouble _sys;

    [SetUp]
    public void Make() => _sys = new SysDouble();

    [TearDown]
    public void Remove() => _sys.Dispose();

    [Test]
    public async Task Disks_in_use_are_not_offered_nor_is_a_disk_with_a_partition_in_use()
    {
        _sys.Disk("sda", "8:0", partitions: ["sda1", "sda2"]);
        _sys.Disk("sdb", "8:16", partitions: ["sdb1"]);
        _sys.Disk("sdc", "8:32");
        _sys.Disk("sdd", "8:48");
        _sys.Disk("sde", "8:64");
        _sys.Disk("sdf", "8:80");
        _sys.Disk("sdg", "8:96", sectors: 0);
        _sys.Disk("zram0", "252:0");
        _sys.Disk("dm-0", "253:0");
        _sys.Write("proc/self/mountinfo", "1 2 8:1 / / rw - ext4 /dev/sda1 rw\n3 2 0:40 / /mnt rw - btrfs /dev/sdd rw\n");
        _sys.Write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sdc partition 1 0 -2\n");
        _sys.Write("sys/devices/pci0000:00/0000:00:01.0/block/sde/holders/dm-0", "");
        _sys.Link("sys/fs/btrfs/uuid/devices/sdf", "../../../../block/sdf");
        await using var host = _sys.Open();
        Assert.That(SysDouble.Ports(host, DeviceClass.Block), Is.EqualTo(new[] { "sda2", "sdb", "sdb1" }));
        var partition = host.Devices.Values.Single(d => d.Address.Port == "sdb1");
        Assert.That(partition.Parent!.Value.Port, Is.EqualTo("sdb"));
        Assert.That(partition.Facts["size"], Is.EqualTo((1024 * 512).ToString()));
    }

    [Test]
    public async Task What_cannot_be_listed_is_a_problem_until_it_can()
    {
        _sys.Write("sys/bus/usb/devices", "no directory");
        Directory.CreateDirectory(_sys.Path("exported"));
        await using (var host = new HostDevices(_sys.Options with { AudioBackend = "alsa" }, NullLogger<HostDevices>.Instance, TimeProvider.System))
        {
            Assert.That(host.Problems, Has.Length.EqualTo(5));
            Assert.That(host.Problems, Has.Some.EqualTo($"disks cannot be listed: there is no directory {_sys.Path("sys/block")}").And.Some.StartsWith("USB devices cannot be listed: ")
                .And.Some.StartsWith($"directory {_sys.Path("exported2")} of exported-files cannot be followed: ").And.Some.StartsWith($"directory {_sys.Path("exported2")} of exported-files cannot be listed: ")
                .And.Some.StartsWith("audio-backend is set, and the host has nothing to record with"));
        }
        File.Delete(_sys.Path("sys/bus/usb/devices"));
        _sys.Disk("sda", "8:0");
        Directory.CreateDirectory(_sys.Path("exported2"));
        await using var whole = _sys.Open();
        Assert.That(whole.Problems, Is.Empty);
    }

    [Test]
    public async Task Loop_devices_on_the_daemons_own_files_are_not_offered()
    {
        _sys.Disk("loop0", "7:0", where: "virtual");
        _sys.Disk("loop1", "7:1", where: "virtual");
        _sys.Write("sys/devices/virtual/block/loop0/loop/backing_file", "/var/lib/mgmtd/pools/default/x.qcow2\n");
        _sys.Write("sys/devices/virtual/block/loop1/loop/backing_file", "/home/x/debian.iso\n");
        await using var host = _sys.Open();
        Assert.That(host.Devices.Values.Select(d => $"{d.Address} {d.Description}"), Is.EqualTo(new[] { "dom0+loop1 debian.iso" }));
    }

    [Test]
    public async Task Usb_devices_by_port_without_hubs_and_without_what_holds_a_disk_in_use()
    {
        _sys.Usb("1-2.3");
        _sys.Usb("1-4");
        _sys.Usb("1-1", deviceClass: "09");
        _sys.Write("sys/bus/usb/devices/usb1/idVendor", "1d6b\n");
        _sys.Disk("sda", "8:0", where: "pci0000:00/usb1/1-4/1-4:1.0/host0/target0:0:0/0:0:0:0");
        _sys.Disk("sdb", "8:16", where: "pci0000:00/usb1/1-2/1-2.3/1-2.3:1.0/host1/target1:0:0/1:0:0:0");
        _sys.Write("proc/self/mountinfo", "1 2 8:0 / /mnt rw - vfat /dev/sda rw\n");
        await using var host = _sys.Open();
        Assert.That(SysDouble.Ports(host, DeviceClass.Usb), Is.EqualTo(new[] { "1-2.3" }));
        var stick = host.Devices.Values.Single(d => d.Address.Class == DeviceClass.Usb);
        Assert.That(stick.DeviceId, Is.EqualTo("1d6b:0104::u080650"));
        // Who has the stick has its disk.
        Assert.That(host.Devices.Values.Single(d => d.Address.Port == "sdb").Parent, Is.EqualTo(stick.Address));
    }

    [Test]
    public async Task Pci_functions_that_no_driver_has_and_why_one_cannot_be_given_away()
    {
        _sys.Pci("0000:00:00.0", "060000", null, "0");
        _sys.Pci("0000:00:02.0", "020000", "e1000e", "2");
        _sys.Pci("0000:00:03.0", "020000", "vfio-pci", "3");
        _sys.Pci("0000:00:03.1", "020000", "e1000e", "3");
        _sys.Pci("0000:00:04.0", "020000", "vfio-pci", null);
        _sys.Pci("0000:00:05.0", "020000", "vfio-pci", "5");
        _sys.Pci("0000:00:05.1", "060400", "pcieport", "5");
        await using var host = _sys.Open();
        Assert.That(SysDouble.Ports(host, DeviceClass.Pci), Is.EqualTo(new[] { "0000_00_03.0", "0000_00_04.0", "0000_00_05.0" }));
        Assert.That(await RefusalAsync(host, "0000_00_03.0"), Does.Contain("IOMMU group 3 is not free: 0000:00:03.1 is with driver e1000e"));
        Assert.That(await RefusalAsync(host, "0000_00_04.0"), Does.Contain("in no IOMMU group"));
        using var open = await host.OpenAsync(Device(host, "0000_00_05.0"), false, CancellationToken.None);
        Assert.That(open, Is.EqualTo(new OpenDevice.PciFunction("0000:00:05.0")));
    }

    [Test]
    public async Task A_microphone_needs_a_backend_and_a_recorder()
    {
        await using (var none = _sys.Open(o => o with { AudioBackend = "alsa" }))
        {
            Assert.That(none.Devices, Is.Empty);
        }
        _sys.Write("sys/class/sound/pcmC0D0c/dev", "116:2\n");
        await using (var off = _sys.Open())
        {
            Assert.That(off.Devices, Is.Empty);
        }
        await using var host = _sys.Open(o => o with { AudioBackend = "alsa" });
        Assert.That(host.Devices.Values.Single().Address.ToString(), Is.EqualTo("dom0+mic"));
    }

    [Test]
    public async Task Whatever_a_device_says_becomes_short_printable_text_and_nothing_else()
    {
        _sys.Usb("1-2", product: "Evil\u001b[2J' _x='y\u0000\u00ff" + new string('A', 5000));
        _sys.Write("sys/bus/usb/devices/1-2/serial", "../../etc/passwd\n");
        _sys.Usb("1-3", @interface: "zzzzzz");
        _sys.Usb("1-4");
        _sys.Write("sys/bus/usb/devices/1-4/idVendor", "not hex\n");
        _sys.Usb("1-2;rm");
        _sys.Usb("1-9999");
        _sys.WriteBytes("sys/bus/usb/devices/1-5/idVendor", []);
        _sys.Disk("sd a", "8:0");
        _sys.Disk("sda", "8:0", sectors: long.MaxValue);
        _sys.Write("proc/self/mountinfo", "\0\n1 2\n - \n" + new string(' ', 100_000) + "\n");
        _sys.WriteBytes("proc/swaps", Enumerable.Range(0, 100_000).Select(i => (byte)i).ToArray());
        await using var host = _sys.Open();
        Assert.That(SysDouble.Ports(host, DeviceClass.Usb), Is.EqualTo(new[] { "1-2", "1-3" }));
        Assert.That(SysDouble.Ports(host, DeviceClass.Block), Is.Empty);
        var evil = Device(host, "1-2");
        Assert.That(evil.Serial, Is.Empty);
        Assert.That(evil.Description, Has.Length.LessThanOrEqualTo(128).And.Match("^[ -~]*$"));
        Assert.That(Device(host, "1-3").Interfaces, Is.EqualTo(new[] { "u******" }));
    }

    [Test]
    public async Task Ten_thousand_devices_are_not_all_looked_at()
    {
        for (var i = 0; i < 3000; i++)
        {
            _sys.Write($"exported/{i}.img", "x");
        }
        await using var host = _sys.Open();
        Assert.That(host.Devices, Has.Count.EqualTo(1024));
    }

    [Test]
    public async Task Exported_files_are_regular_files_right_there_and_no_links()
    {
        _sys.Write("secret", new string('s', 512));
        _sys.Write("exported/debian.iso", new string('d', 1024));
        _sys.Write("exported/odd.img", "odd");
        _sys.Write("exported/sub/inner.img", new string('i', 512));
        _sys.Write("exported/empty", "");
        _sys.Write("exported/with space", "x");
        _sys.Link("exported/link.img", _sys.Path("secret"));
        _sys.Write("exported2/debian.iso", new string('2', 512));
        _sys.Write("exported2/other.img", new string('o', 512));
        await using var host = _sys.Open();
        Assert.That(SysDouble.Ports(host, DeviceClass.Block), Is.EqualTo(new[] { "file-debian.iso", "file-odd.img", "file-other.img" }));
        using (var open = (OpenDevice.Disk)await host.OpenAsync(Device(host, "file-debian.iso"), true, CancellationToken.None))
        {
            var bytes = new byte[4];
            Assert.That(RandomAccess.Read(open.Layers[0].File, bytes, 0), Is.EqualTo(4));
            Assert.That(Encoding.ASCII.GetString(bytes), Is.EqualTo("dddd"));
            Assert.That(() => RandomAccess.Write(open.Layers[0].File, bytes, 0), Throws.InstanceOf<Exception>());
        }
        Assert.That(await RefusalAsync(host, "file-odd.img"), Does.Contain("not a multiple of 512"));
        // A file that becomes a link after it was listed is not followed.
        var listed = Device(host, "file-other.img");
        File.Delete(_sys.Path("exported2/other.img"));
        _sys.Link("exported2/other.img", _sys.Path("secret"));
        var refused = Assert.ThrowsAsync<MgmtException>(() => host.OpenAsync(listed, true, CancellationToken.None));
        Assert.That((await refused)!.Message, Does.Contain("not there any more"));
    }

    [Test]
    public async Task A_usb_port_with_another_device_is_not_opened_for_the_first()
    {
        _sys.Usb("1-2");
        await using var host = _sys.Open();
        var listed = Device(host, "1-2");
        _sys.Write("sys/bus/usb/devices/1-2/idProduct", "0666\n");
        var refused = Assert.ThrowsAsync<MgmtException>(() => host.OpenAsync(listed, false, CancellationToken.None));
        Assert.That((await refused)!.Message, Does.Contain("another device"));
    }

    [Test]
    public async Task Files_that_come_and_go_are_told_by_themselves()
    {
        Directory.CreateDirectory(_sys.Path("exported"));
        await using var host = _sys.Open();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        _sys.Write("exported/new.img", new string('n', 512));
        var come = await host.Changes.ReadAsync(limit.Token);
        Assert.That((come.Device.Address.Port, come.Added), Is.EqualTo(("file-new.img", true)));
        File.Delete(_sys.Path("exported/new.img"));
        var gone = await host.Changes.ReadAsync(limit.Token);
        Assert.That((gone.Device.Address.Port, gone.Added), Is.EqualTo(("file-new.img", false)));
    }

    private static DeviceInfo Device(HostDevices host, string port) => host.Devices.Values.Single(d => d.Address.Port == port);

    private static async Task<string> RefusalAsync(HostDevices host, string port) =>
        (await Assert.ThrowsAsync<MgmtException>(() => host.OpenAsync(Device(host, port), false, CancellationToken.None)))!.Message;
}
