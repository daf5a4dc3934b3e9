using Mgmt.Core;

namespace Mgmt.Api.Tests.Properties;

public sealed class PropertyWriterTests
{
    [TestCase("vault", "memory", "0", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "memory", "99999999999999999999", ErrorCode.QubesValueError)]
    [TestCase("vault", "memory", "abc", ErrorCode.QubesValueError)]
    [TestCase("vault", "vcpus", "256", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "debug", "perhaps", ErrorCode.QubesValueError)]
    [TestCase("vault", "virt_mode", "pv", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "kernel", "9.9", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "netvm", "work", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "netvm", "nosuch", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "mac", "01:00:00:00:00:00", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "ip", "10.1", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "label", "mauve", ErrorCode.QubesLabelNotFoundError)]
    [TestCase("vault", "template", "work", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "qid", "7", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "klass", "AppVM", ErrorCode.QubesPropertyValueError)]
    [TestCase("vault", "nosuch", "1", ErrorCode.QubesNoSuchPropertyError)]
    [TestCase("debian", "template", "debian", ErrorCode.QubesNoSuchPropertyError)]
    [TestCase(null, "default_netvm", "vault", ErrorCode.QubesPropertyValueError)]
    [TestCase(null, "default_pool", "nosuch", ErrorCode.QubesPoolNotFoundError)]
    public async Task What_cannot_be_is_refused_and_changes_nothing(string? holder, string property, string value, ErrorCode code)
    {
        await using var daemon = await Daemon.OpenAsync();

        await Daemon.RefusedAsync(code, daemon.SetAsync(holder, property, value));

        Assert.That(daemon.Events(holder ?? ""), Is.Empty);
    }

    [Test]
    public async Task Events_come_in_the_order_and_with_the_keys_of_qubes()
    {
        await using var daemon = await Daemon.OpenAsync();

        await daemon.SetAsync("vault", "memory", "500");
        await daemon.ResetAsync("vault", "memory");
        await daemon.SetAsync("vault", "netvm", "sys-net");
        await daemon.SetAsync("vault", "netvm", "");
        await daemon.SetAsync("vault", "label", "red");

        Assert.That(daemon.Events("vault"), Is.EqualTo(new[]
        {
            "property-pre-set:memory name=memory newvalue=500 oldvalue=400", "property-set:memory name=memory newvalue=500 oldvalue=400",
            "property-pre-reset:memory name=memory oldvalue=500", "property-pre-del:memory name=memory oldvalue=500",
            "property-reset:memory name=memory oldvalue=500", "property-del:memory name=memory oldvalue=500",
            "property-pre-set:netvm name=netvm newvalue=sys-net oldvalue=None", "property-set:netvm name=netvm newvalue=sys-net oldvalue=None",
            "property-pre-set:netvm name=netvm newvalue=None oldvalue=sys-net", "property-set:netvm name=netvm newvalue=None oldvalue=sys-net",
            "property-pre-set:label name=label newvalue=red oldvalue=black", "property-reset:icon name=icon", "property-set:label name=label newvalue=red oldvalue=black",
        }));
    }

    [Test]
    public async Task A_veto_comes_after_its_journalled_pre_event()
    {
        await using var daemon = await Daemon.OpenAsync();

        await Daemon.RefusedAsync(ErrorCode.QubesPropertyValueError, daemon.SetAsync("sys-net", "provides_network", "no"));

        Assert.That(daemon.Events("sys-net"), Is.EqualTo(new[] { "property-pre-set:provides_network name=provides_network newvalue=False oldvalue=True" }));
        Assert.That(daemon.Vm("sys-net").Property("provides_network"), Is.EqualTo("True"));
    }

    [Test]
    public async Task A_default_netvm_must_go_on_providing_network()
    {
        await using var daemon = await Daemon.OpenAsync();
        await daemon.SetAsync("work", "netvm", "");

        await Daemon.RefusedAsync(ErrorCode.QubesPropertyValueError, daemon.ResetAsync("sys-net", "provides_network"));
    }

    [Test]
    public async Task The_default_netvm_cannot_close_a_loop()
    {
        await using var daemon = await Daemon.OpenAsync();
        await daemon.SetAsync(null, "default_netvm", "");
        await daemon.SetAsync("vault", "provides_network", "True");
        await daemon.SetAsync("vault", "netvm", "sys-net");
        await daemon.ResetAsync("sys-net", "netvm");

        await Daemon.RefusedAsync(ErrorCode.QubesPropertyValueError, daemon.SetAsync(null, "default_netvm", "vault"));
        await daemon.SetAsync(null, "default_netvm", "sys-net");
        await Daemon.RefusedAsync(ErrorCode.QubesPropertyValueError, daemon.SetAsync("sys-net", "netvm", "vault"));
    }

    [Test]
    public async Task The_default_netvm_itself_may_go_back_to_its_default()
    {
        await using var daemon = await Daemon.OpenAsync();

        await daemon.ResetAsync("sys-net", "netvm");

        Assert.That(daemon.Properties.Text(daemon.Store.Current, daemon.Vm("sys-net"), "netvm"), Is.Empty);
    }

    [Test]
    public async Task A_template_for_disposables_that_something_needs_stays_one()
    {
        await using var daemon = await Daemon.OpenAsync();
        await daemon.SetAsync("vault", "template_for_dispvms", "True");
        await daemon.SetAsync(null, "default_dispvm", "vault");

        await Daemon.RefusedAsync(ErrorCode.QubesVMInUseError, daemon.ResetAsync("vault", "template_for_dispvms"));
        await daemon.SetAsync(null, "default_dispvm", "");
        await daemon.TextAsync("mgmt.vm.Create.DispVM+vault dom0 dom0", "name=disp1 label=red");

        await Daemon.RefusedAsync(ErrorCode.QubesVMInUseError, daemon.SetAsync("vault", "template_for_dispvms", "False"));
        await Daemon.RefusedAsync(ErrorCode.QubesVMInUseError, daemon.SetAsync("vault", "template", "debian"));
        var disp = daemon.Vm("disp1");
        Assert.That(disp.Volumes[VolumeName.Root].Source?.Value, Is.EqualTo("vm-templates/debian/root"));
        Assert.That(disp.Volumes[VolumeName.Private].Source?.Value, Is.EqualTo("appvms/vault/private"));
    }

    [Test]
    public async Task Every_property_of_every_vm_can_be_read()
    {
        await using var daemon = await Daemon.OpenAsync();
        foreach (var vm in daemon.Store.Current.Vms.Values.Cast<VmRecord?>().Append(null))
        {
            foreach (var property in daemon.Properties.List(vm))
            {
                Assert.That(daemon.Properties.Get(daemon.Store.Current, vm, property).Text, Is.Not.Null);
            }
        }
    }
}
