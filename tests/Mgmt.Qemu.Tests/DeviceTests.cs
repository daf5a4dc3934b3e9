using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Qemu.Tests;

/// <summary>Devices plugged into a real guest on the real QEMU and taken out again.</summary>
[Category("integration")]
public sealed class DeviceTests
{
    private const int DiskBytes = 4 << 20;
    private QemuTestHost _host;
    private CancellationTokenSource _patience;
    private QemuBackend _backend;

    private CancellationToken Patience => _patience.Token;

    [OneTimeSetUp]
    public void Build_the_guest() => GuestFiles.Require();

    [SetUp]
    public async Task Open()
    {
        _patience = new CancellationTokenSource(QemuTestHost.Patience * 2);
        _host = new QemuTestHost();
        _backend = await _host.OpenBackendAsync(
            options => options with { DevicePorts = 4, AudioBackend = "none", DetachTimeout = TimeSpan.FromSeconds(8) }, Patience);
    }

    [TearDown]
    public async Task Close()
    {
        await _host.DisposeAsync();
        _patience.Dispose();
    }

    private static DeviceAttachment Disk(string port, bool readOnly = false, bool onUsb = false, string name = "") =>
        new(DeviceAddress.Of(DeviceClass.Block, VmName.Dom0, port), new DeviceOptions { ReadOnly = readOnly, OnUsb = onUsb, FrontendName = name });

    private string NewFile(string name)
    {
        var path = Path.Combine(_host.Disks, name);
        using var file = File.Create(path);
        file.SetLength(DiskBytes);
        return path;
    }

    private static OpenDevice.Disk OpenFile(string path, bool readOnly = false) =>
        new([new(File.OpenHandle(path, FileMode.Open, readOnly ? FileAccess.Read : FileAccess.ReadWrite, FileShare.ReadWrite), "raw", readOnly)], readOnly);

    private async Task<IRunningVm> BootAsync(VmLaunch launch)
    {
        var vm = await _host.LaunchAsync(_backend, launch, Patience);
        await vm.ContinueAsync(Patience);
        await QemuTestHost.AgentReadyAsync(vm, Patience);
        return vm;
    }

    /// <summary>The guest's name of the disk with that serial number, once it is there.</summary>
    private Task<string> NodeAsync(IRunningVm vm, string serial) => vm.ShellAsync(
        $"while :; do for d in /sys/block/vd*; do [ \"$(cat $d/serial)\" = {serial} ] && echo -n /dev/${{d##*/}} && exit 0; done; usleep 50000; done", Patience);

    [Test]
    public async Task A_disk_is_written_in_the_guest_and_read_back_on_the_host_after_it_was_detached()
    {
        var vm = await BootAsync(_host.NewLaunch("work"));
        var path = NewFile("data.img");
        var wanted = Disk("file-data.img", name: "data");
        using (var disk = OpenFile(path))
        {
            await vm.Devices.AttachAsync(wanted, disk, Patience);
        }
        Assert.That(await vm.Devices.ListAsync(Patience), Is.EqualTo(new[] { wanted }));
        var node = await NodeAsync(vm, "data");
        await vm.ShellAsync($"echo written in the guest | dd of={node} bs=512 seek=8 conv=sync; sync", Patience);
        await vm.Devices.DetachAsync(wanted.Device, Patience);
        Assert.That(await vm.Devices.ListAsync(Patience), Is.Empty);
        Assert.That(await vm.ShellAsync($"[ -e {node} ] || echo -n gone", Patience), Is.EqualTo("gone"));
        var content = await File.ReadAllBytesAsync(path, Patience);
        Assert.That(System.Text.Encoding.ASCII.GetString(content, 8 * 512, 20), Is.EqualTo("written in the guest"));
        // The place and its nodes are free again.
        using var again = OpenFile(path);
        await vm.Devices.AttachAsync(wanted, again, Patience);
        await vm.Devices.DetachAsync(wanted.Device, Patience);
    }

    [Test]
    public async Task A_read_only_disk_cannot_be_written_and_a_later_daemon_finds_it()
    {
        var launch = _host.NewLaunch("work");
        var vm = await BootAsync(launch);
        var path = NewFile("image.iso");
        var wanted = Disk("file-image.iso", readOnly: true);
        using (var disk = OpenFile(path, readOnly: true))
        {
            await vm.Devices.AttachAsync(wanted, disk, Patience);
        }
        var node = await NodeAsync(vm, "file-image.iso");
        Assert.That(await vm.ShellAsync($"cat /sys/block/{node[5..]}/ro; dd if=/dev/zero of={node} bs=512 count=1 2>&1 && exit 1; exit 0", Patience), Does.StartWith("1"));
        await vm.DisposeAsync();
        var adopted = _host.Own((await _backend.AdoptAsync(QemuTestHost.RecordOf(launch), vm.Run, Patience))!);
        Assert.That(await adopted.Devices.ListAsync(Patience), Is.EqualTo(new[] { wanted }));
        await adopted.Devices.DetachAsync(wanted.Device, Patience);
        Assert.That(await adopted.Devices.ListAsync(Patience), Is.Empty);
    }

    [Test]
    public async Task A_guest_that_does_not_let_go_is_an_error_and_its_late_letting_go_a_signal()
    {
        var vm = await BootAsync(_host.NewLaunch("work"));
        var wanted = Disk("file-stuck.img");
        using (var disk = OpenFile(NewFile("stuck.img")))
        {
            await vm.Devices.AttachAsync(wanted, disk, Patience);
        }
        await NodeAsync(vm, "file-stuck.img");
        await vm.PauseAsync(Patience);
        var error = (await Assert.ThrowsAsync<MgmtException>(() => vm.Devices.DetachAsync(wanted.Device, Patience)))!;
        Assert.That(error.Code, Is.EqualTo(ErrorCode.MgmtTimeoutError), error.Message);
        Assert.That(await vm.Devices.ListAsync(Patience), Is.EqualTo(new[] { wanted }));
        await vm.ContinueAsync(Patience);
        var gone = await QemuTestHost.SignalAsync<VmSignal.DeviceGone>(vm, _ => true, Patience);
        Assert.That(gone.Device, Is.EqualTo(wanted.Device));
        Assert.That(await vm.Devices.ListAsync(Patience), Is.Empty);
        using var again = OpenFile(Path.Combine(_host.Disks, "stuck.img"));
        await vm.Devices.AttachAsync(wanted, again, Patience);
    }

    [Test]
    public async Task Emulated_usb_storage_and_a_sound_card_are_plugged_in_and_taken_out()
    {
        var vm = await BootAsync(_host.NewLaunch("work"));
        var stick = Disk("file-stick.img", onUsb: true);
        using (var disk = OpenFile(NewFile("stick.img")))
        {
            await vm.Devices.AttachAsync(stick, disk, Patience);
        }
        // The guest's kernel has no driver for the stick, but sees its controller.
        Assert.That(await vm.ShellAsync("cat /sys/bus/pci/devices/*/class", Patience), Does.Contain("0x0c0330"));
        var microphone = new DeviceAttachment(DeviceAddress.Of(DeviceClass.Mic, VmName.Dom0, "mic"), DeviceOptions.None);
        using (var recording = new OpenDevice.Microphone())
        {
            await vm.Devices.AttachAsync(microphone, recording, Patience);
        }
        Assert.That(await vm.Devices.ListAsync(Patience), Is.EquivalentTo(new[] { stick, microphone }));
        Assert.That(await vm.ShellAsync("while ! cat /sys/bus/pci/devices/*/class | grep 0x0401; do usleep 50000; done", Patience), Does.Contain("0x040100"));
        await vm.Devices.DetachAsync(stick.Device, Patience);
        await vm.Devices.DetachAsync(microphone.Device, Patience);
        Assert.That(await vm.Devices.ListAsync(Patience), Is.Empty);
    }

    [Test]
    public async Task What_cannot_be_attached_leaves_nothing_behind_and_all_places_taken_is_busy()
    {
        await using var vm = await _host.LaunchAsync(_backend, _host.NewLaunch("work"), Patience);
        for (var i = 0; i < 4; i++)
        {
            using var disk = OpenFile(NewFile($"{i}.img"));
            await vm.Devices.AttachAsync(Disk($"file-{i}.img"), disk, Patience);
        }
        using (var disk = OpenFile(NewFile("more.img")))
        {
            var busy = (await Assert.ThrowsAsync<MgmtException>(() => vm.Devices.AttachAsync(Disk("file-more.img"), disk, Patience)))!;
            Assert.That(busy.Code, Is.EqualTo(ErrorCode.MgmtBusyError));
        }
        var unknown = (await Assert.ThrowsAsync<MgmtException>(() => vm.Devices.DetachAsync(Disk("file-more.img").Device, Patience)))!;
        Assert.That(unknown.Code, Is.EqualTo(ErrorCode.DeviceNotAssigned));
    }

    [Test]
    public async Task A_pci_function_without_vfio_is_refused_by_qemu_and_leaves_its_place_free()
    {
        await using var vm = await _host.LaunchAsync(_backend, _host.NewLaunch("work"), Patience);
        using var function = new OpenDevice.PciFunction("0000:00:00.0");
        var wanted = new DeviceAttachment(DeviceAddress.Of(DeviceClass.Pci, VmName.Dom0, "0000_00_00.0"), DeviceOptions.None);
        var error = (await Assert.ThrowsAsync<MgmtException>(() => vm.Devices.AttachAsync(wanted, function, Patience)))!;
        Assert.That(error.Code, Is.EqualTo(ErrorCode.QubesException), error.Message);
        Assert.That(await vm.Devices.ListAsync(Patience), Is.Empty);
    }

    [TestCase("mgmt-device-3-block-w-v-4-8-dom0-file-a.b-data", "dom0+file-a.b bus= frontend-dev=data ro=False")]
    [TestCase("mgmt-device-100-usb-n-v-4-5-dom0-1-2.3-", "dom0+1-2.3 bus= frontend-dev= ro=")]
    [TestCase("mgmt-device-0-block-r-u-3-7-a-b-private-", "a-b+private bus=usb frontend-dev= ro=True")]
    public void A_device_says_by_its_id_what_it_is(string id, string expected)
    {
        var tag = DeviceTag.TryParse(id)!;
        var options = tag.Attachment.Options;
        Assert.That($"{tag.Attachment.Device} bus={(options.OnUsb ? "usb" : "")} frontend-dev={options.FrontendName} ro={options.ReadOnly}", Is.EqualTo(expected));
        Assert.That(tag.Id, Is.EqualTo(id));
    }

    [TestCase("hotplug1")]
    [TestCase("mgmt-device-")]
    [TestCase("mgmt-device-1-block-w-v-400-1-dom0-a-")]
    [TestCase("mgmt-device-1-block-w-v--1-1-dom0-a-")]
    [TestCase("mgmt-device-x-block-w-v-4-1-dom0-a-")]
    [TestCase("mgmt-device-1-tape-w-v-4-1-dom0-a-")]
    [TestCase("mgmt-device-1-block-w-v-4-1-dom0")]
    public void Other_ids_are_none_of_ours(string id) => Assert.That(DeviceTag.TryParse(id), Is.Null);
}
