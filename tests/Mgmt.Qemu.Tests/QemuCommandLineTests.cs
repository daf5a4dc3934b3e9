using Mgmt.Core;
using Microsoft.Win32.SafeHandles;

namespace Mgmt.Qemu.Tests;

public sealed class QemuCommandLineTests
{
    private static readonly SafeFileHandle NoFile = new(-1, ownsHandle: false);

    private static QemuOptions Options(string binary) => new() { RunDirectory = "/run", QemuBinary = binary, DevicePorts = 4, GuestPorts = 0, GuestAgentPorts = 0 };

    [Test]
    public void Each_guest_port_is_a_socket_of_its_own()
    {
        var plan = QemuCommandLine.Build(NewLaunch(), QemuHost.Tcg("x"), Options("q") with { GuestPorts = 2, GuestAgentPorts = 1 });
        var words = string.Join(' ', plan.Arguments);
        Assert.That(words, Does.Contain("-chardev socket,id=qrexec0,fd=13,server=on,wait=off -device virtserialport,id=qrexec0,bus=channels.0,chardev=qrexec0,name=org.mgmt.qrexec.0"));
        Assert.That(words, Does.Contain("-chardev socket,id=qrexec1,fd=14,server=on,wait=off -device virtserialport,id=qrexec1,bus=channels.0,chardev=qrexec1,name=org.mgmt.qrexec.1"));
        Assert.That(words, Does.Contain("-device virtserialport,id=exec0,bus=channels.0,chardev=exec0,name=org.mgmt.agent.0"));
        Assert.That(plan.Files.Where(f => f.Kind == InheritedKind.GuestPort).Select(f => (f.Number, f.Port)), Is.EqualTo(new[] { (13, 0), (14, 1) }));
    }

    [Test]
    public void Vsock_has_a_number_of_the_vms_own_and_the_device_by_descriptor()
    {
        var options = Options("q") with { UidBase = 1000, Vsock = true };
        var launch = NewLaunch();
        var plan = QemuCommandLine.Build(launch, QemuHost.Tcg("x"), options);
        Assert.That(string.Join(' ', plan.Arguments), Does.Contain($"-device vhost-vsock-pci,id=vsock,guest-cid={1000 + launch.Qid},vhostfd=13"));
        Assert.That(plan.Files.Single(f => f.Kind == InheritedKind.Vsock).Number, Is.EqualTo(13));
        Assert.That(string.Join(' ', QemuCommandLine.Build(launch, QemuHost.Tcg("x"), Options("q")).Arguments), Does.Not.Contain("vsock"));
    }

    [Test]
    public void An_AppVM_is_written_to_the_letter()
    {
        var launch = NewLaunch(
            new OpenVolume(VolumeName.Root, false, 1, [new(NoFile, "qcow2", false), new(NoFile, "qcow2", true), new(NoFile, "raw", true)]),
            new OpenVolume(VolumeName.Private, false, 1, [new(NoFile, "raw", false)]));
        var plan = QemuCommandLine.Build(launch, QemuHost.Tcg("x"), Options("qemu-system-x86_64"));
        Assert.That(string.Join('\n', plan.Arguments), Is.EqualTo("""
            qemu-system-x86_64
            -name
            guest=work.1
            -uuid
            0f0e0d0c-0b0a-0908-0706-050403020100
            -smbios
            type=11,value=mgmt-start:00000000-0000-0000-0000-000000000000
            -machine
            q35,usb=off,vmport=off,dump-guest-core=off
            -accel
            tcg,tb-size=64
            -cpu
            qemu64
            -m
            400
            -smp
            2
            -nodefaults
            -no-user-config
            -display
            none
            -rtc
            base=utc
            -device
            pvpanic
            -action
            panic=pause,reboot=reset,shutdown=poweroff
            -sandbox
            on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
            -S
            -chardev
            socket,id=monitor,fd=10,server=on,wait=off
            -mon
            chardev=monitor,mode=control
            -chardev
            socket,id=rescue,fd=11,server=on,wait=off
            -mon
            chardev=rescue,mode=control
            -chardev
            socket,id=agent,fd=12,server=on,wait=off
            -chardev
            ringbuf,id=console,size=65536
            -serial
            chardev:console
            -device
            virtio-serial-pci,id=channels,max_ports=16
            -device
            virtserialport,id=agent,bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0
            -device
            pcie-root-port,id=hotplug0,chassis=1,bus=pcie.0,io-reserve=0
            -device
            pcie-root-port,id=hotplug1,chassis=2,bus=pcie.0,io-reserve=0
            -device
            pcie-root-port,id=hotplug2,chassis=3,bus=pcie.0,io-reserve=0
            -device
            pcie-root-port,id=hotplug3,chassis=4,bus=pcie.0,io-reserve=0
            -kernel
            /proc/self/fd/13
            -initrd
            /proc/self/fd/14
            -append
            swiotlb=2048,x -S console=ttyS0 quiet
            -add-fd
            fd=15,set=15
            -blockdev
            {"driver":"file","node-name":"root-2-file","filename":"/dev/fdset/15","read-only":true}
            -blockdev
            {"driver":"raw","node-name":"root-2","file":"root-2-file","read-only":true}
            -add-fd
            fd=16,set=16
            -blockdev
            {"driver":"file","node-name":"root-1-file","filename":"/dev/fdset/16","read-only":true}
            -blockdev
            {"driver":"qcow2","node-name":"root-1","file":"root-1-file","backing":"root-2","read-only":true}
            -add-fd
            fd=17,set=17
            -blockdev
            {"driver":"file","node-name":"root-file","filename":"/dev/fdset/17","read-only":false,"discard":"unmap"}
            -blockdev
            {"driver":"qcow2","node-name":"root","file":"root-file","backing":"root-1","read-only":false,"discard":"unmap"}
            -device
            virtio-blk-pci,id=disk-root,drive=root,serial=root,werror=stop
            -add-fd
            fd=18,set=18
            -blockdev
            {"driver":"file","node-name":"private-file","filename":"/dev/fdset/18","read-only":false,"discard":"unmap"}
            -blockdev
            {"driver":"raw","node-name":"private","file":"private-file","read-only":false,"discard":"unmap"}
            -device
            virtio-blk-pci,id=disk-private,drive=private,serial=private,werror=stop
            """));
        Assert.That(plan.Files.Select(file => (file.Number, file.Kind)), Is.EqualTo(new[]
        {
            (10, InheritedKind.Monitor), (11, InheritedKind.Rescue), (12, InheritedKind.Agent), (13, InheritedKind.Boot), (14, InheritedKind.Boot),
            (15, InheritedKind.ReadOnlyImage), (16, InheritedKind.ReadOnlyImage), (17, InheritedKind.Image), (18, InheritedKind.Image),
        }));
    }

    [Test]
    public void Without_a_kernel_the_root_disk_boots()
    {
        var launch = NewLaunch(new OpenVolume(VolumeName.Root, true, 1, [new(NoFile, "qcow2", false)])) with { Boot = null };
        var plan = QemuCommandLine.Build(launch, QemuHost.Kvm("x"), Options("q"));
        Assert.That(plan.Arguments, Does.Not.Contain("-kernel").And.Not.Contain("-append"));
        Assert.That(plan.Arguments, Does.Contain("virtio-blk-pci,id=disk-root,drive=root,serial=root,werror=report,bootindex=1"));
        Assert.That(plan.Arguments, Does.Contain("""{"driver":"qcow2","node-name":"root","file":"root-file","backing":null,"read-only":true}"""));
        Assert.That(plan.Arguments, Does.Contain("kvm").And.Contain("host"));
    }

    [Test]
    public void No_network_card_is_ever_there()
    {
        var plan = QemuCommandLine.Build(NewLaunch(), QemuHost.Tcg("x"), Options("q"));
        Assert.That(plan.Arguments, Has.None.Contains("net").And.Some.EqualTo("-nodefaults"));
    }

    [TestCase("vmdk")]
    [TestCase("")]
    [TestCase("raw,x")]
    public void A_format_we_do_not_know_is_refused(string format) => AssertRefused(new ImageLayer(NoFile, format, false));

    [Test]
    public void A_raw_image_stands_on_nothing() => AssertRefused(new ImageLayer(NoFile, "raw", false), new ImageLayer(NoFile, "raw", true));

    [Test]
    public void A_volume_without_images_is_refused() => AssertRefused();

    [Test]
    public void The_key_of_an_encrypted_disk_goes_over_by_a_descriptor_before_the_disk()
    {
        using var key = VolumeKey.Create();
        var plan = QemuCommandLine.Build(NewLaunch(new OpenVolume(VolumeName.Volatile, false, 1, [new(NoFile, "luks", false)]) { Key = key }), QemuHost.Tcg("x"), Options("q"));
        Assert.That(string.Join('\n', plan.Arguments), Does.EndWith("""
            -object
            secret,id=key-volatile,file=/proc/self/fd/15
            -add-fd
            fd=16,set=16
            -blockdev
            {"driver":"file","node-name":"volatile-file","filename":"/dev/fdset/16","read-only":false,"discard":"unmap"}
            -blockdev
            {"driver":"luks","node-name":"volatile","file":"volatile-file","key-secret":"key-volatile","read-only":false,"discard":"unmap"}
            -device
            virtio-blk-pci,id=disk-volatile,drive=volatile,serial=volatile,werror=stop
            """));
        Assert.That(plan.Keys, Is.EqualTo(new[] { "key-volatile" }));
        Assert.That(plan.Files.Single(file => file.Number == 15), Is.EqualTo(new InheritedFile(15, InheritedKind.Key, null) { Key = key }));
    }

    [Test]
    public void An_encrypted_layer_needs_a_key_and_no_other_takes_one()
    {
        using var key = VolumeKey.Create();
        AssertRefusedWith(null, new ImageLayer(NoFile, "luks", false));
        AssertRefusedWith(key, new ImageLayer(NoFile, "raw", false));
        AssertRefusedWith(key, new ImageLayer(NoFile, "luks", false), new ImageLayer(NoFile, "raw", true));
        AssertRefusedWith(null, new ImageLayer(NoFile, "qcow2", false), new ImageLayer(NoFile, "luks", true));
    }

    [Test]
    public void Privileges_are_dropped_before_QEMU_begins()
    {
        Assert.That(new Privileges(false, 1000, null).Prefix(7), Is.Empty);
        Assert.That(string.Join(' ', new Privileges(true, 1000, null).Prefix(7)), Is.EqualTo(
            "setpriv --reuid=1007 --regid=1007 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all --"));
        Assert.That(new Privileges(true, 1000, 104).Prefix(7), Does.Contain("--groups=104"));
    }

    private static void AssertRefused(params ImageLayer[] layers) => AssertRefusedWith(null, layers);

    private static void AssertRefusedWith(VolumeKey? key, params ImageLayer[] layers)
    {
        var launch = NewLaunch(new OpenVolume(VolumeName.Private, false, 1, [.. layers]) { Key = key });
        var error = Assert.Throws<MgmtException>(() => QemuCommandLine.Build(launch, QemuHost.Tcg("x"), Options("q")));
        Assert.That(error!.Code, Is.EqualTo(ErrorCode.QubesException));
    }

    private static VmLaunch NewLaunch(params OpenVolume[] disks) => new()
    {
        Name = VmName.Parse("work.1"),
        Uuid = new Guid("0f0e0d0c-0b0a-0908-0706-050403020100"),
        Qid = 7,
        StartGuid = Guid.Empty,
        VirtualProcessors = 2,
        MemoryMiB = 400,
        VirtMode = "hvm",
        Boot = new BootImage("k", NoFile, NoFile),
        KernelOptions = "swiotlb=2048,x -S",
        Disks = [.. disks],
    };
}
