using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

public sealed class CallTests : DaemonFixture
{
    [Test]
    public async Task The_dialects_differ_where_the_contract_says_so()
    {
        Assert.That(await Daemon.OkAsync("mgmt.vm.List"), Does.StartWith("debian class=TemplateVM state=Halted\n").And.Contain("\ndom0 class=AdminVM state=Running\n"));
        Assert.That(await Daemon.OkAsync("admin.vm.List", "debian"), Is.EqualTo("debian class=TemplateVM state=Halted uuid=5e7ab1e0-0000-4000-8000-000000000001\n"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "sys-net", "memory"), Is.EqualTo("default=yes type=int 400"));
        Assert.That(await Daemon.OkAsync("admin.vm.property.Get", "sys-net", "memory"), Is.EqualTo("default=True type=int 400"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "sys-net", "netvm"), Is.EqualTo("default=no type=vm "));
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "sys-net", "provides_network"), Is.EqualTo("default=no type=bool True"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "sys-net", "root"), Does.Contain("\ninternal=False\n"));
        Assert.That(await Daemon.OkAsync("admin.vm.volume.Info", "sys-net", "root"), Does.Not.Contain("internal="));
        Assert.That(await Daemon.OkAsync("mgmt.vm.List", "dom0", "sys-net"), Is.EqualTo("sys-net class=AppVM state=Halted\n"));
    }

    [TestCase("label.List", "dom0", "red", ErrorCode.QubesLabelNotFoundError)]
    [TestCase("pool.List", "dom0", "default", ErrorCode.QubesPoolNotFoundError)]
    [TestCase("pool.ListDrivers", "dom0", "qcow2", ErrorCode.QubesPoolNotFoundError)]
    [TestCase("vmclass.List", "dom0", "AppVM", ErrorCode.QubesValueError)]
    [TestCase("property.List", "dom0", "clockvm", ErrorCode.QubesNoSuchPropertyError)]
    [TestCase("vm.property.List", "work", "memory", ErrorCode.QubesNoSuchPropertyError)]
    [TestCase("vm.volume.List", "work", "private", ErrorCode.QubesVolumeNotFoundError)]
    [TestCase("policy.List", "dom0", "90-mgmt-default", ErrorCode.QubesException)]
    [TestCase("policy.include.List", "dom0", "mgmt-vm-ro", ErrorCode.QubesException)]
    public async Task A_list_with_an_entry_gives_that_line(string call, string destination, string entry, ErrorCode unknown)
    {
        var one = await Daemon.OkAsync("mgmt." + call, destination, entry);
        Assert.That(one, Does.StartWith(entry).And.EndsWith("\n"));
        Assert.That(await Daemon.OkAsync("mgmt." + call, destination), Does.Contain(one));
        await Daemon.RefusedAsync(unknown, "mgmt." + call, destination, "no-such");
    }

    [Test]
    public async Task A_vm_lives_from_its_making_to_its_removal()
    {
        await MakeVmAsync("life");
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "life"), Is.EqualTo("created-by-dom0\n"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.List", "life"), Is.EqualTo("root\nprivate\nvolatile\nkernel\n"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "life", "root"), Does.StartWith(
            "pool=default\nvid=appvms/life/root\nsize=10737418240\nusage=").And.Contain("\nsource=vm-templates/debian/root\nsave_on_stop=False\nsnap_on_start=True\nrevisions_to_keep=1\n"));
        await Daemon.OkAsync("mgmt.vm.Start", "life");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.Remove", "life");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.property.Set", "life", "template", "debian");
        await Daemon.OkAsync("mgmt.vm.Kill", "life");
        await Daemon.OkAsync("mgmt.vm.Remove", "life");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotFoundError, "mgmt.vm.List", "life");
        await MakeVmAsync("life");
        await Daemon.OkAsync("mgmt.vm.Remove", "life");
    }

    [Test]
    public async Task Removing_a_vm_takes_the_tags_that_grant_to_it_off_all_others()
    {
        await MakeVmAsync("boss");
        await MakeVmAsync("staff");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "staff", "created-by-boss");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "staff", "managed-by-boss");
        await Daemon.OkAsync("mgmt.vm.Remove", "boss");
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "staff"), Is.EqualTo("created-by-dom0\n"));
    }

    [Test]
    public async Task A_template_is_made_from_a_root_image_and_VMs_from_it()
    {
        await Daemon.OkAsync("mgmt.vm.CreateTemplate", "dom0", "image+1024", new string('x', 1024));
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "image", "root"), Does.Contain("size=1024\n"));
        await Daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "image", "name=from-image label=red");
        await Daemon.RefusedAsync(ErrorCode.QubesVMInUseError, "mgmt.vm.Remove", "image");
        await Daemon.OkAsync("mgmt.vm.property.Set", "from-image", "template_for_dispvms", "yes");
        await Daemon.OkAsync("mgmt.vm.Create.DispVM", "dom0", "from-image", "name=disp1 label=red");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "disp1", "root"), Does.Contain("source=vm-templates/image/root\n"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "disp1", "private"), Does.Contain("source=appvms/from-image/private\n"));
        await Daemon.RefusedAsync(ErrorCode.QubesVMInUseError, "mgmt.vm.property.Set", "from-image", "template_for_dispvms", "False");
        await Daemon.OkAsync("mgmt.vm.Create.RemoteVM", "dom0", "", "name=remote label=red");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.List", "remote"), Is.Empty);
    }

    [Test]
    public async Task A_new_template_gives_a_vm_another_root()
    {
        await Daemon.OkAsync("mgmt.vm.Create.TemplateVM", "dom0", "", "name=other label=red");
        await MakeVmAsync("moves");
        await Daemon.OkAsync("mgmt.vm.property.Set", "moves", "template", "other");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "moves", "root"), Does.Contain("source=vm-templates/other/root\n"));
    }

    [Test]
    public async Task Defaults_come_from_the_template_and_the_host()
    {
        await MakeVmAsync("heir");
        await Daemon.OkAsync("mgmt.vm.property.Set", "debian", "vcpus", "5");
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "heir", "vcpus"), Is.EqualTo("default=yes type=int 5"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.GetDefault", "heir", "vcpus"), Is.EqualTo("type=int 5"));
        await Daemon.OkAsync("mgmt.vm.property.Set", "heir", "vcpus", "6");
        await Daemon.OkAsync("mgmt.vm.property.Reset", "heir", "vcpus");
        Assert.That(await Daemon.OkAsync("admin.vm.property.Get", "heir", "vcpus"), Is.EqualTo("default=True type=int 5"));
        await Daemon.OkAsync("mgmt.vm.property.Reset", "debian", "vcpus");
        await Daemon.OkAsync("mgmt.property.Set", "dom0", "default_shutdown_timeout", "77");
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "heir", "shutdown_timeout"), Is.EqualTo("default=yes type=int 77"));
        await Daemon.OkAsync("mgmt.property.Reset", "dom0", "default_shutdown_timeout");
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.GetDefault", "heir", "label"), Is.Empty);
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "heir", "name"), Is.EqualTo("default=no type=str heir"));
    }

    [Test]
    public async Task All_properties_at_once_are_those_one_by_one()
    {
        foreach (var vm in new[] { "debian", "work", "dom0" })
        {
            await Daemon.OkAsync("mgmt.vm.feature.Set", vm, "seen", "1");
            var lines = (await Daemon.OkAsync("mgmt.vm.property.GetAll", vm)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.That(lines.Select(l => l.Split(' ')[0]), Is.EqualTo((await Daemon.OkAsync("mgmt.vm.property.List", vm)).Split('\n', StringSplitOptions.RemoveEmptyEntries)));
            foreach (var line in lines)
            {
                var name = line.Split(' ')[0];
                Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", vm, name), Is.EqualTo(line[(name.Length + 1)..]));
                Assert.That(await Daemon.OkAsync("mgmt.vm.property.Help", vm, name), Is.Not.Empty);
                Assert.That(await Daemon.OkAsync("mgmt.vm.property.HelpRst", vm, name), Does.StartWith(".. describe:: " + name));
            }
        }
    }

    [Test]
    public async Task A_backslash_in_a_value_is_doubled_in_GetAll_only()
    {
        await MakeVmAsync("slashed");
        await Daemon.OkAsync("mgmt.vm.property.Set", "slashed", "kernelopts", "a\\nb");
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.Get", "slashed", "kernelopts"), Is.EqualTo("default=no type=str a\\nb"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.property.GetAll", "slashed"), Does.Contain("\nkernelopts default=no type=str a\\\\nb\n"));
    }

    [Test]
    public async Task Features_are_text_and_looked_for_along_the_templates()
    {
        await MakeVmAsync("featured");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "debian", "os", "Linux");
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.CheckWithTemplate", "featured", "os"), Is.EqualTo("Linux"));
        await Daemon.RefusedAsync(ErrorCode.QubesFeatureNotFoundError, "mgmt.vm.feature.Get", "featured", "os");
        await Daemon.OkAsync("mgmt.vm.feature.Set", "featured", "os", "");
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.CheckWithTemplate", "featured", "os"), Is.Empty);
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.List", "featured"), Is.EqualTo("os\n"));
        await Daemon.OkAsync("mgmt.vm.feature.Remove", "featured", "os");
        Assert.That(await Daemon.OkAsync("mgmt.vm.feature.List", "featured"), Is.Empty);
    }

    [Test]
    public async Task Tags_are_there_or_not()
    {
        await MakeVmAsync("tagged");
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.Get", "tagged", "t"), Is.EqualTo("0"));
        await Daemon.OkAsync("mgmt.vm.tag.Set", "tagged", "t");
        await Daemon.OkAsync("mgmt.vm.tag.Set", "tagged", "t");
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.Get", "tagged", "t"), Is.EqualTo("1"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.tag.List", "tagged"), Is.EqualTo("created-by-dom0\nt\n"));
    }

    [Test]
    public async Task A_label_is_made_used_and_removed()
    {
        await using var events = await Daemon.EventsAsync("subject=\nevent=label-*");
        await Daemon.OkAsync("mgmt.label.Create", "dom0", "teal", "0x008080");
        var index = await Daemon.OkAsync("mgmt.label.Index", "dom0", "teal");
        Assert.That(await Daemon.OkAsync("mgmt.label.Get", "dom0", index), Is.EqualTo("0x008080"));
        Assert.That(await Daemon.OkAsync("mgmt.label.List"), Does.StartWith("red\norange\nyellow\ngreen\ngray\nblue\npurple\nblack\n").And.EndsWith("teal\n"));
        await MakeVmAsync("labelled");
        await Daemon.OkAsync("mgmt.vm.property.Set", "labelled", "label", "teal");
        await Daemon.RefusedAsync(ErrorCode.QubesLabelInUseError, "mgmt.label.Remove", "dom0", "teal");
        await Daemon.OkAsync("mgmt.vm.Remove", "labelled");
        await Daemon.OkAsync("mgmt.label.Remove", "dom0", "teal");
        await Daemon.RefusedAsync(ErrorCode.QubesLabelNotFoundError, "mgmt.label.Get", "dom0", "teal");
        Assert.That(await events.NamesUntilAsync("label-delete"), Is.EqualTo(new[] { "label-add", "label-delete" }));
    }

    [Test]
    public async Task Pools_say_what_they_are()
    {
        Assert.That(await Daemon.OkAsync("mgmt.pool.List"), Is.EqualTo("default\nlinux-kernel\n"));
        Assert.That(await Daemon.OkAsync("mgmt.pool.Info", "dom0", "default"), Does.StartWith("driver=qcow2\nephemeral_volatile=False\nname=default\nrevisions_to_keep=1\nsize=").And.EndsWith("included_in=\n"));
    }

    [Test]
    public async Task Info_and_Status_say_what_the_daemon_is()
    {
        Assert.That(await Daemon.OkAsync("mgmt.Info"), Does.Match("^version=.+\napi=1\nbackend=test:///default\n").And.Contain("limit-request-bytes=65536\n"));
        Assert.That(await Daemon.OkAsync("mgmt.Status"), Does.Contain("networking is not built yet"));
    }

    [Test]
    public async Task A_host_that_was_exported_can_be_served()
    {
        var document = await Daemon.ExportAsync();
        await using var copy = await DaemonProcess.StartAsync(new DaemonOptions { Host = document });
        Assert.That(await copy.ExportAsync(), Is.EqualTo(document));
    }

    [Test]
    public async Task The_qids_of_vms_made_at_once_are_all_different()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Daemon.OkAsync("mgmt.vm.Create.AppVM", "dom0", "debian", $"name=many{i} label=red")));
        var qids = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Daemon.OkAsync("mgmt.vm.property.Get", $"many{i}", "qid")));
        Assert.That(qids, Is.Unique);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Daemon.OkAsync("mgmt.vm.Remove", $"many{i}")));
    }

    [Test]
    public async Task One_name_made_many_times_at_once_is_made_once()
    {
        var replies = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Daemon.CallAsync("mgmt.vm.Create.AppVM", "dom0", "debian", "name=once label=red")));
        Assert.That(replies.OfType<Wire.Reply.Failure>().Select(f => f.Type), Is.EqualTo(Enumerable.Repeat("QubesVMAlreadyExistsError", 9)));
    }
}
