using System.Text;
using System.Text.Json;
using Mgmt.Core;

namespace Mgmt.Api.Tests.Devices;

/// <summary>The calls on devices over a host in memory.</summary>
public sealed class DeviceCallsTests
{
    private Daemon _daemon;

    [SetUp]
    public async Task Open() => _daemon = await Daemon.OpenAsync();

    [TearDown]
    public ValueTask Close() => _daemon.DisposeAsync();

    private Task<string> OkAsync(string call, string argument, string payload = "", string vm = "vault") => _daemon.TextAsync($"{call}+{argument} dom0 {vm}", payload);

    private Task<ErrorCode> RefusalAsync(string call, string argument, string payload = "", string vm = "vault") => _daemon.RefusalAsync($"{call}+{argument} dom0 {vm}", payload);

    private List<string> DeviceEvents(string subject) => [.. _daemon.Events(subject).Where(e => e.StartsWith("device-", StringComparison.Ordinal))];

    [Test]
    public async Task Classes_and_what_the_host_has_in_both_dialects()
    {
        Assert.That(await _daemon.TextAsync("mgmt.deviceclass.List dom0 dom0"), Is.EqualTo("block\nmic\npci\nusb\n"));
        Assert.That(await _daemon.TextAsync("mgmt.vm.device.block.Available dom0 dom0"), Is.EqualTo(
            "file-debian.iso device_id=0000:0000::b****** mode=w size=668991488 description=file debian.iso\n"
            + "sdb device_id=0000:0000::b****** mode=w size=16106127360 description=USB stick\n"
            + "sdb1 device_id=0000:0000::b****** mode=w size=16105078784 parent=block+sdb description=USB stick\n"));
        Assert.That(await _daemon.TextAsync("admin.vm.device.usb.Available+1-2 dom0 dom0"), Is.EqualTo(
            "1-2:1d6b:0104::u0e0100u0e0200 device_id='1d6b:0104::u0e0100u0e0200' port_id='1-2' devclass='usb' backend_domain='dom0' interfaces='u0e0100u0e0200' _description='Example camera'\n"));
        Assert.That(await _daemon.TextAsync("mgmt.vm.device.usb.Available+9-9 dom0 dom0"), Is.Empty);
    }

    [Test]
    public async Task Attach_list_and_detach_with_their_events()
    {
        await _daemon.StartAsync("vault");
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+sdb", "ro=True frontend-dev=data");
        Assert.That(await OkAsync("mgmt.vm.device.block.List", ""), Is.EqualTo("dom0+sdb persistent=no frontend-dev=data ro=True\n"));
        Assert.That(await OkAsync("admin.vm.device.block.Attached", ""), Is.EqualTo(
            "dom0+sdb:0000:0000::b****** device_id='0000:0000::b******' port_id='sdb' devclass='block' backend_domain='dom0' mode='manual' frontend_domain='vault' _frontend-dev='data' _read-only='yes'\n"));
        Assert.That(await _daemon.TextAsync("mgmt.vm.device.block.Available+sdb dom0 dom0"), Does.Contain(" attachment=vault "));
        await OkAsync("mgmt.vm.device.block.Detach", "dom0+sdb");
        Assert.That(await OkAsync("mgmt.vm.device.block.List", ""), Is.Empty);
        Assert.That(DeviceEvents("vault"), Is.EqualTo(new[]
        {
            "device-pre-attach:block device=dom0:sdb:0000:0000::b****** options={'frontend-dev': 'data', 'read-only': 'yes'}",
            "device-attach:block device=dom0:sdb:0000:0000::b****** options={'frontend-dev': 'data', 'read-only': 'yes'}", "device-pre-detach:block port=dom0:sdb", "device-detach:block port=dom0:sdb",
        }));
        Assert.That(DeviceEvents("dom0"), Is.EqualTo(new[] { "device-list-change:block", "device-list-change:block" }));
    }

    [Test]
    public async Task What_is_assigned_is_attached_at_start_and_kept_over_restarts_of_the_vm()
    {
        await OkAsync("admin.vm.device.block.Assign", "dom0+sdb", "device_id='*' port_id='sdb' devclass='block' backend_domain='dom0' mode='required' frontend_domain='vault' _read-only='yes'");
        await OkAsync("mgmt.vm.device.usb.Assign", "dom0+1-2", "mode=ask-to-attach");
        await OkAsync("mgmt.vm.device.mic.Assign", "dom0+mic", "mode=auto-attach");
        Assert.That(await OkAsync("admin.vm.device.block.Assigned", "dom0+sdb"), Is.EqualTo(
            "dom0+sdb:* device_id='*' port_id='sdb' devclass='block' backend_domain='dom0' mode='required' frontend_domain='vault' _read-only='yes'\n"));
        await _daemon.StartAsync("vault");
        Assert.That(_daemon.Vm("vault").Status.Devices.Keys.Select(d => d.ToString()), Is.EqualTo(new[] { "dom0+sdb", "dom0+mic" }));
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Unassign", "dom0+sdb"), Is.EqualTo(ErrorCode.QubesVMNotHaltedError));
        Assert.That(await RefusalAsync("admin.vm.device.block.Detach", "dom0+sdb"), Is.EqualTo(ErrorCode.QubesVMNotHaltedError));
        await _daemon.KillAsync("vault");
        Assert.That(_daemon.Vm("vault").Status.Devices, Is.Empty);
        Assert.That(DeviceEvents("vault").TakeLast(2), Is.EqualTo(new[] { "device-detach:block port=dom0:sdb", "device-detach:mic port=dom0:mic" }));
        Assert.That(_daemon.Vm("vault").Assignments, Has.Count.EqualTo(3));
    }

    [Test]
    public async Task A_required_device_that_is_missing_refuses_a_start_and_any_other_does_not()
    {
        await OkAsync("mgmt.vm.device.block.Assign", "dom0+sdz", "mode=required");
        await OkAsync("mgmt.vm.device.usb.Assign", "dom0+9-9", "mode=auto-attach");
        var error = await Daemon.RefusedAsync(ErrorCode.QubesException, _daemon.Starter.StartAsync(Daemon.Name("vault"), CancellationToken.None));
        Assert.That(error.Message, Is.EqualTo("vault needs the block device dom0+sdz, which is not there"));
        Assert.That(_daemon.Vm("vault").Status.State, Is.EqualTo(VmState.Halted));
        await OkAsync("mgmt.vm.device.block.Set.assignment", "dom0+sdz", "auto-attach");
        await _daemon.StartAsync("vault");
        Assert.That(_daemon.Vm("vault").Status.Devices, Is.Empty);
    }

    [Test]
    public async Task A_port_where_another_device_sits_counts_as_missing()
    {
        await OkAsync("mgmt.vm.device.usb.Assign", "dom0+1-2+1d6b+9999++u0e0100u0e0200", "mode=required");
        await Daemon.RefusedAsync(ErrorCode.QubesException, _daemon.Starter.StartAsync(Daemon.Name("vault"), CancellationToken.None));
        await OkAsync("mgmt.vm.device.usb.Unassign", "dom0+1-2");
        await OkAsync("mgmt.vm.device.usb.Assign", "dom0+1-2+1d6b+0104++u0e____u0e0200", "mode=required");
        await _daemon.StartAsync("vault");
        Assert.That(_daemon.Vm("vault").Status.Devices, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_persistent_attach_is_both_and_its_detach_too()
    {
        await _daemon.StartAsync("vault");
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+sdb", "persistent=yes");
        Assert.That(await OkAsync("mgmt.vm.device.block.List", ""), Is.EqualTo("dom0+sdb persistent=yes ro=False\n"));
        Assert.That(_daemon.Vm("vault").Assignments.Values.Single().Mode, Is.EqualTo(DeviceMode.AutoAttach));
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+sdb", "persistent=yes"), Is.EqualTo(ErrorCode.DeviceAlreadyAssigned));
        await OkAsync("mgmt.vm.device.block.Detach", "dom0+sdb");
        Assert.That(await OkAsync("mgmt.vm.device.block.List", ""), Is.Empty);
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+sdz", "persistent=yes"), Is.EqualTo(ErrorCode.ProtocolError));
        Assert.That(_daemon.Vm("vault").Assignments, Is.Empty);
    }

    [Test]
    public async Task A_disk_is_of_one_vm_and_so_are_its_partitions_but_many_may_read_a_file()
    {
        await _daemon.StartAsync("vault");
        await _daemon.StartAsync("work");
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+sdb1");
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+sdb1"), Is.EqualTo(ErrorCode.DeviceAlreadyAttached));
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+sdb", vm: "work"), Is.EqualTo(ErrorCode.DeviceAlreadyAttached));
        await OkAsync("mgmt.vm.device.block.Detach", "dom0+sdb1");
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+sdb", vm: "work");
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+sdb1"), Is.EqualTo(ErrorCode.DeviceAlreadyAttached));
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+file-debian.iso", "ro=True");
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+file-debian.iso", vm: "work"), Is.EqualTo(ErrorCode.DeviceAlreadyAttached));
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+file-debian.iso", "ro=True", vm: "work");
    }

    [Test]
    public async Task A_volume_of_another_vm_is_only_read_and_keeps_that_vm()
    {
        Assert.That(await _daemon.TextAsync("mgmt.vm.device.block.Available dom0 work"), Does.StartWith("private device_id="));
        await _daemon.StartAsync("vault");
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "work+private", "ro=False"), Is.EqualTo(ErrorCode.QubesException));
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "vault+private"), Is.EqualTo(ErrorCode.ProtocolError));
        await OkAsync("mgmt.vm.device.block.Attach", "work+private");
        Assert.That(await OkAsync("mgmt.vm.device.block.List", ""), Is.EqualTo("work+private persistent=no ro=True\n"));
        Assert.That(await _daemon.RefusalAsync("mgmt.vm.Remove dom0 work"), Is.EqualTo(ErrorCode.QubesVMInUseError));
        await OkAsync("mgmt.vm.device.block.Detach", "work+private");
        await OkAsync("mgmt.vm.device.block.Assign", "work+private", "mode=auto-attach");
        await _daemon.TextAsync("mgmt.vm.Remove dom0 work");
        Assert.That(_daemon.Vm("vault").Assignments, Is.Empty);
        Assert.That(DeviceEvents("vault")[^1], Is.EqualTo("device-unassign:block device=work:private:*"));
    }

    [Test]
    public async Task The_microphone_is_the_mic_device()
    {
        await _daemon.StartAsync("vault");
        await _daemon.TextAsync("mgmt.vm.microphone.Attach dom0 vault");
        Assert.That(await OkAsync("mgmt.vm.device.mic.List", ""), Is.EqualTo("dom0+mic persistent=no\n"));
        await _daemon.TextAsync("mgmt.vm.microphone.Detach dom0 vault");
        Assert.That(await _daemon.RefusalAsync("mgmt.vm.microphone.Detach dom0 vault"), Is.EqualTo(ErrorCode.DeviceNotAssigned));
    }

    [Test]
    public async Task Denied_interfaces_are_not_attached()
    {
        await _daemon.TextAsync("admin.vm.device.denied.Add dom0 vault", "u03****u0e01**");
        Assert.That(await _daemon.TextAsync("admin.vm.device.denied.List dom0 vault"), Is.EqualTo("u03****\nu0e01**"));
        await _daemon.StartAsync("vault");
        Assert.That(await RefusalAsync("mgmt.vm.device.usb.Attach", "dom0+1-2"), Is.EqualTo(ErrorCode.QubesException));
        await _daemon.TextAsync("admin.vm.device.denied.Remove dom0 vault", "u0e01**");
        await OkAsync("mgmt.vm.device.usb.Attach", "dom0+1-2");
        await _daemon.TextAsync("admin.vm.device.denied.Remove dom0 vault", "all");
        Assert.That(await _daemon.TextAsync("admin.vm.device.denied.List dom0 vault"), Is.Empty);
        Assert.That(await _daemon.RefusalAsync("admin.vm.device.denied.Add dom0 vault", "u03"), Is.EqualTo(ErrorCode.QubesPropertyValueError));
    }

    [Test]
    public async Task Status_counts_devices_and_names_those_that_a_vm_runs_without()
    {
        await OkAsync("mgmt.vm.device.block.Assign", "dom0+sdx", "mode=auto-attach");
        await OkAsync("mgmt.vm.device.block.Assign", "dom0+sdy", "mode=ask-to-attach");
        await OkAsync("mgmt.vm.device.usb.Assign", "dom0+1-2+ffff_ffff__u000000", "mode=auto-attach");
        Assert.That(await ProblemsAsync(), Is.Empty, "it does not run");
        await _daemon.StartAsync("vault");
        _daemon.Test.Devices.Problems = ["USB devices cannot be listed: no"];
        Assert.That(await ProblemsAsync(), Is.EquivalentTo(new[]
        {
            "USB devices cannot be listed: no", "vault runs without the block device dom0+sdx (auto-attach): it is not there", "vault runs without the usb device dom0+1-2 (auto-attach): another device is there",
        }));
        await OkAsync("mgmt.vm.device.usb.Unassign", "dom0+1-2");
        await OkAsync("mgmt.vm.device.usb.Attach", "dom0+1-2");
        using var status = JsonDocument.Parse(await _daemon.TextAsync("mgmt.Status dom0 dom0"));
        var usb = status.RootElement.GetProperty("devices").GetProperty("usb");
        Assert.That((usb.GetProperty("attached").GetInt32(), usb.GetProperty("assigned").GetInt32()), Is.EqualTo((1, 0)));
        Assert.That(usb.GetProperty("available").GetInt32(), Is.EqualTo(_daemon.Test.Devices.Devices.Keys.Count(device => device.Class == DeviceClass.Usb)));
    }

    private async Task<string?[]> ProblemsAsync()
    {
        using var status = JsonDocument.Parse(await _daemon.TextAsync("mgmt.Status dom0 dom0"));
        return [.. status.RootElement.GetProperty("devices").GetProperty("problems").EnumerateArray().Select(problem => problem.GetString())];
    }

    [Test]
    public async Task Of_many_denials_at_once_none_is_lost()
    {
        var codes = Enumerable.Range(0, 64).Select(n => $"u{n:x4}**").ToArray();
        await Task.WhenAll(codes.Select(code => Task.Run(() => _daemon.TextAsync("admin.vm.device.denied.Add dom0 vault", code))));
        Assert.That(await _daemon.TextAsync("admin.vm.device.denied.List dom0 vault"), Is.EqualTo(string.Join('\n', codes)));
        await Task.WhenAll(codes.Skip(1).Select(code => Task.Run(() => _daemon.TextAsync("admin.vm.device.denied.Remove dom0 vault", code))));
        Assert.That(await _daemon.TextAsync("admin.vm.device.denied.List dom0 vault"), Is.EqualTo(codes[0]));
    }

    [Test]
    public async Task Devices_that_come_go_to_those_who_are_to_have_them_and_those_that_go_are_taken()
    {
        using var stop = new CancellationTokenSource();
        var following = new DeviceFollower(_daemon.Services).RunAsync(stop.Token);
        await OkAsync("mgmt.vm.device.block.Assign", "dom0+sdc", "mode=auto-attach _read-only=yes");
        await _daemon.StartAsync("vault");
        var device = new DeviceInfo(DeviceAddress.Of(DeviceClass.Block, VmName.Dom0, "sdc"));
        _daemon.Test.Devices.PlugIn(device);
        await _daemon.UntilAsync(state => state.Get(Daemon.Name("vault")).Status.Devices.ContainsKey(device.Address));
        _daemon.Test.Devices.PullOut(device.Address);
        await _daemon.UntilAsync(state => state.Get(Daemon.Name("vault")).Status.Devices.IsEmpty);
        Assert.That(DeviceEvents("dom0").Where(e => e.Contains("sdc", StringComparison.Ordinal)), Is.EqualTo(new[] { "device-added:block device=dom0:sdc:0000:0000::b******", "device-removed:block port=dom0:sdc" }));
        await stop.CancelAsync();
        await following.WaitAsync(Daemon.Deadline);
    }

    [Test]
    public async Task A_paused_guest_keeps_its_device_and_the_list_says_so()
    {
        await _daemon.StartAsync("vault");
        await OkAsync("mgmt.vm.device.block.Attach", "dom0+sdb");
        await _daemon.Stopper.PauseAsync(Daemon.Name("vault"), CancellationToken.None);
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Detach", "dom0+sdb"), Is.EqualTo(ErrorCode.MgmtTimeoutError));
        Assert.That(await OkAsync("mgmt.vm.device.block.List", ""), Is.EqualTo("dom0+sdb persistent=no ro=False\n"));
    }

    [Test]
    public async Task A_clone_has_no_device_and_an_export_has_all_assignments()
    {
        await OkAsync("mgmt.vm.device.block.Assign", "dom0+sdb", "mode=required _read-only=yes _frontend-dev=data");
        await _daemon.TextAsync("mgmt.vm.Clone dom0 vault", "name=copy");
        Assert.That(_daemon.Vm("copy").Assignments, Is.Empty);
        var document = await _daemon.TextAsync("mgmt.host.Export dom0 dom0");
        var read = HostDocument.Read(Encoding.UTF8.GetBytes(document));
        Assert.That(read.Seed.Vms.Single(vm => vm.Name.Value == "vault").Assignments.Values, Is.EqualTo(_daemon.Vm("vault").Assignments.Values));
    }

    [TestCase("Attach", "", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "sdb", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "_+sdb", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+_", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+..", "", ErrorCode.ProtocolError)]
    [TestCase("Detach", "dom0+_", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdz", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "nobody+sda", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb+dead+beef++x", "", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "ro", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "ro=perhaps", ErrorCode.QubesValueError)]
    [TestCase("Attach", "dom0+sdb", "ro=True ro=False", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "ro=True read-only=no", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "driver=evil", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "frontend-dev=a,drive=b", ErrorCode.QubesValueError)]
    [TestCase("Attach", "dom0+sdb", "frontend-dev='a\"}", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "frontend-dev=123456789012345678901", ErrorCode.QubesValueError)]
    [TestCase("Attach", "dom0+sdb", "bus=isa", ErrorCode.QubesValueError)]
    [TestCase("Attach", "dom0+sdb", "mode=required", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "port_id='sda'", ErrorCode.ProtocolError)]
    [TestCase("Attach", "dom0+sdb", "caf\u00e9=1", ErrorCode.QubesValueError)]
    [TestCase("Attach", "dom0+sdb", "=x", ErrorCode.ProtocolError)]
    [TestCase("Detach", "dom0+sdb", "", ErrorCode.DeviceNotAssigned)]
    [TestCase("Assign", "dom0+sdb", "mode=manual", ErrorCode.QubesUnrecognizedDeviceAssignmentMode)]
    [TestCase("Assign", "nobody+sdb", "mode=required", ErrorCode.QubesVMNotFoundError)]
    [TestCase("Assign", "dom0+sdb", "persistent=yes", ErrorCode.ProtocolError)]
    [TestCase("Unassign", "dom0+sdb", "", ErrorCode.DeviceNotAssigned)]
    [TestCase("Set.assignment", "dom0+sdb", "required", ErrorCode.DeviceNotAssigned)]
    [TestCase("Set.assignment", "dom0+sdb", "sometimes", ErrorCode.QubesUnrecognizedDeviceAssignmentMode)]
    public async Task Bad_input_is_refused_and_changes_nothing(string call, string argument, string payload, ErrorCode expected)
    {
        await _daemon.StartAsync("vault");
        Assert.That(await RefusalAsync("mgmt.vm.device.block." + call, argument, payload), Is.EqualTo(expected));
        Assert.That(_daemon.Vm("vault").Status.Devices, Is.Empty);
        Assert.That(_daemon.Vm("vault").Assignments, Is.Empty);
    }

    [Test]
    public async Task A_halted_vm_takes_no_device_and_options_are_of_disks_only()
    {
        Assert.That(await RefusalAsync("mgmt.vm.device.block.Attach", "dom0+sdb"), Is.EqualTo(ErrorCode.QubesVMNotRunningError));
        await _daemon.StartAsync("vault");
        Assert.That(await RefusalAsync("mgmt.vm.device.usb.Attach", "dom0+1-2", "ro=True"), Is.EqualTo(ErrorCode.ProtocolError));
        Assert.That(await RefusalAsync("admin.vm.device.block.Attach", "dom0+sdb", "ro=True"), Is.EqualTo(ErrorCode.ProtocolError));
        await OkAsync("admin.vm.device.block.Attach", "dom0+sdb", "_read-only='yes'");
    }
}
