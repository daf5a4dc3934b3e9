using Mgmt.Core;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class CloneTests
{
    private ClonePools _pools = null!;

    [SetUp]
    public void SetUp() => _pools = new();

    [Test]
    public async Task A_copy_has_everything_but_what_is_its_own_and_its_events_come_in_order()
    {
        await using var daemon = await OpenAsync();
        await daemon.SetAsync("work", "memory", "333");
        await daemon.SetAsync("work", "ip", "10.1.2.3");
        await daemon.SetAsync("work", "mac", "00:16:3e:00:00:01");
        await daemon.TextAsync("mgmt.vm.feature.Set+gui dom0 work", "1");
        foreach (var tag in new[] { "mine", "created-by-vault", "managed-by-vault", "guivm-vault" })
        {
            await daemon.TextAsync($"mgmt.vm.tag.Set+{tag} dom0 work");
        }

        await daemon.TextAsync("mgmt.vm.Clone dom0 work", "name=twin");

        var (work, twin) = (daemon.Vm("work"), daemon.Vm("twin"));
        Assert.Multiple(() =>
        {
            Assert.That(twin.Properties, Is.EqualTo(work.Properties.RemoveRange(["ip", "mac"])));
            Assert.That(twin.Features, Is.EqualTo(work.Features));
            Assert.That(twin.Tags.Select(t => t.Value), Is.EqualTo(new[] { "created-by-dom0", "mine" }));
            Assert.That((twin.Class, twin.Status.State), Is.EqualTo((VmClass.AppVM, VmState.Halted)));
            Assert.That(twin.Uuid, Is.Not.EqualTo(work.Uuid));
            Assert.That(twin.Qid, Is.Not.EqualTo(work.Qid));
            Assert.That(twin.Volumes[VolumeName.Root], Is.EqualTo(work.Volumes[VolumeName.Root] with { Vid = Vid.Parse("appvms/twin/root") }));
            Assert.That(twin.Volumes[VolumeName.Private], Is.EqualTo(work.Volumes[VolumeName.Private] with { Vid = Vid.Parse("appvms/twin/private"), SizeBytes = 2 * work.Volumes[VolumeName.Private].SizeBytes }));
            Assert.That(twin.Volumes[VolumeName.Kernel], Is.EqualTo(work.Volumes[VolumeName.Kernel]));
            Assert.That(Content("default", "appvms/twin/private"), Is.EqualTo("appvms/work/private"));
            Assert.That(_pools.Log, Is.EqualTo(new[]
            {
                "export default:appvms/work/private", "create default:appvms/twin/root", "create default:appvms/twin/private", "clone default:appvms/twin/private", "create default:appvms/twin/volatile",
            }));
            Assert.That(daemon.Events("twin"), Is.EqualTo(new[]
            {
                "domain-tag-add:created-by-dom0 tag=created-by-dom0", "property-set:memory name=memory newvalue=333", "property-set:netvm name=netvm newvalue=sys-net", "domain-tag-add:mine tag=mine",
                "domain-feature-set:gui feature=gui value=1", "domain-clone-files src=work", "volume-clone volume=private",
            }));
            Assert.That(daemon.Events("")[^1], Is.EqualTo("domain-add vm=twin"));
        });
        AssertSettled(daemon);
    }

    [Test]
    public async Task Its_progress_begins_at_nothing_and_ends_at_all()
    {
        await using var daemon = await OpenAsync();

        await daemon.TextAsync("mgmt.vm.Clone dom0 debian", "name=twin");

        var progress = daemon.Events("debian").Where(e => e.StartsWith("progress", StringComparison.Ordinal)).ToList();
        var total = 2 * daemon.Vm("debian").Volumes.Values.Where(v => v.SaveOnStop).Sum(v => v.SizeBytes);
        Assert.That(progress[0], Is.EqualTo($"progress operation=clone id=1 done=0 total={total}"));
        Assert.That(progress[^1], Is.EqualTo($"progress operation=clone id=1 done={total} total={total}"));
        Assert.That(daemon.Vm("twin").Volumes[VolumeName.Root].Vid!.Value.Value, Is.EqualTo("vm-templates/twin/root"));
        Assert.That(Content("default", "vm-templates/twin/root"), Is.EqualTo("vm-templates/debian/root"));
    }

    [Test]
    public async Task Volumes_go_to_the_pools_named_and_snapshots_stay_with_their_source()
    {
        await using var daemon = await OpenAsync();
        await daemon.Store.ApplyAsync(c => c.PutPool(new(PoolName.Parse("fast"), "qcow2", VmRecord.Empty)), CancellationToken.None);
        await daemon.Pools.OpenAllAsync(daemon.Store.Current, CancellationToken.None);

        await daemon.TextAsync("mgmt.vm.CloneInPool dom0 work", "name=one pool=fast");
        await daemon.TextAsync("mgmt.vm.CloneInPool dom0 work", "name=two pool:private=fast");

        Assert.That(Pools("one"), Is.EqualTo(new[] { "root=default", "private=fast", "volatile=fast" }));
        Assert.That(Pools("two"), Is.EqualTo(new[] { "root=default", "private=fast", "volatile=default" }));
        Assert.That(Content("fast", "appvms/one/private"), Is.EqualTo("appvms/work/private"));

        string[] Pools(string vm) => [.. daemon.Vm(vm).Volumes.Values.Where(v => v.Name != VolumeName.Kernel).Select(v => $"{v.Name.Wire()}={v.Pool}")];
    }

    [TestCase("Clone", "", ErrorCode.ProtocolError)]
    [TestCase("Clone", "name=twin label=red", ErrorCode.ProtocolError)]
    [TestCase("Clone", "name=twin pool=default", ErrorCode.ProtocolError)]
    [TestCase("Clone", "name=twin name=twin", ErrorCode.ProtocolError)]
    [TestCase("Clone", "name=../twin", ErrorCode.QubesValueError)]
    [TestCase("Clone", "name=work", ErrorCode.QubesVMAlreadyExistsError)]
    [TestCase("Clone", "name=vault", ErrorCode.QubesVMAlreadyExistsError)]
    [TestCase("CloneInPool", "name=twin", ErrorCode.ProtocolError)]
    [TestCase("CloneInPool", "name=twin pool=default pool:private=default", ErrorCode.ProtocolError)]
    [TestCase("CloneInPool", "name=twin pool:attic=default", ErrorCode.ProtocolError)]
    [TestCase("CloneInPool", "name=twin pool=nowhere", ErrorCode.QubesPoolNotFoundError)]
    [TestCase("CloneInPool", "name=twin pool:root=linux-kernel", ErrorCode.QubesException)]
    public async Task Bad_input_makes_nothing(string call, string payload, ErrorCode code)
    {
        await using var daemon = await OpenAsync();

        Assert.That(await daemon.RefusalAsync($"mgmt.vm.{call} dom0 work", payload), Is.EqualTo(code));

        Assert.That(_pools.Log, Is.Empty);
        AssertSettled(daemon);
    }

    [Test]
    public async Task Dom0_and_what_does_not_exist_have_no_copy()
    {
        await using var daemon = await OpenAsync();
        Assert.That(await daemon.RefusalAsync("mgmt.vm.Clone dom0 dom0", "name=twin"), Is.EqualTo(ErrorCode.ProtocolError));
        Assert.That(await daemon.RefusalAsync("mgmt.vm.Clone dom0 nobody", "name=twin"), Is.EqualTo(ErrorCode.QubesVMNotFoundError));
        Assert.That(await daemon.RefusalAsync("admin.vm.Clone dom0 work", "name=twin"), Is.EqualTo(ErrorCode.ProtocolError));
    }

    [TestCase("export", ErrorCode.StoragePoolException)]
    [TestCase("create", ErrorCode.MgmtNoSpaceError)]
    [TestCase("clone", ErrorCode.MgmtNoSpaceError)]
    public async Task A_step_that_fails_takes_back_those_before_it(string step, ErrorCode code)
    {
        await using var daemon = await OpenAsync();
        _pools.Error = (what, volume) => what == step && volume.Name == VolumeName.Private ? new MgmtException(code, "no") : null;

        Assert.That(await daemon.RefusalAsync("mgmt.vm.Clone dom0 work", "name=twin"), Is.EqualTo(code));

        Assert.That(_pools.Contents, Is.Empty);
        Assert.That(daemon.Events("").Where(e => e.StartsWith("domain-add", StringComparison.Ordinal)), Is.Empty);
        Assert.That(daemon.Store.Current.Find(Daemon.Name("twin")), Is.Null);
        AssertSettled(daemon);
    }

    [Test]
    public async Task A_copy_can_be_cancelled_and_the_source_is_free_meanwhile()
    {
        await using var daemon = await OpenAsync();
        _pools.Hold = new();
        var cloning = daemon.CallAsync("mgmt.vm.Clone dom0 work", "name=twin");
        await _pools.Copying.Task.WaitAsync(Daemon.Deadline);
        Assert.That(daemon.Store.Current.VolumesInWork, Has.Count.EqualTo(3));
        using (await daemon.Services.Gates.EnterAsync(Daemon.Name("work"), CancellationToken.None).WaitAsync(Daemon.Deadline))
        {
        }

        await daemon.TextAsync("mgmt.call.Cancel+1 dom0 dom0");

        Assert.That((await cloning).Error?.Code, Is.EqualTo(ErrorCode.MgmtCancelledError));
        Assert.That(_pools.Contents, Is.Empty);
        AssertSettled(daemon);
    }

    [Test]
    public async Task A_source_that_is_removed_or_changed_meanwhile_has_no_copy()
    {
        await using var daemon = await OpenAsync();
        _pools.Hold = new();
        var cloning = daemon.CallAsync("mgmt.vm.Clone dom0 work", "name=twin");
        await _pools.Copying.Task.WaitAsync(Daemon.Deadline);
        await daemon.Store.ApplyAsync(c => c.PutVm(c.State.Get(Daemon.Name("work")).WithProperty("template", "other")), CancellationToken.None);

        _pools.Hold.SetResult();

        Assert.That((await cloning).Error?.Code, Is.EqualTo(ErrorCode.MgmtBusyError));
        Assert.That(_pools.Contents, Is.Empty);
        AssertSettled(daemon);
    }

    [TestCase("", true)]
    [TestCase("mgmt.vm.volume.CloneFrom +root vault work deny", false)]
    [TestCase("mgmt.vm.volume.CloneFrom +private vault work deny", false)]
    [TestCase("mgmt.vm.Create.AppVM +debian vault @adminvm deny", false)]
    [TestCase("mgmt.vm.Create.AppVM +other vault @adminvm deny", true)]
    [TestCase("mgmt.vm.CreateInPool.AppVM * vault @adminvm deny", true)]
    [TestCase("admin.vm.volume.CloneFrom * vault @anyvm deny", false)]
    public async Task The_policy_is_asked_for_each_volume_and_for_a_new_vm(string rule, bool allowed)
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers, policy: rule + "\n* * vault @anyvm allow\n* * vault @adminvm allow\n");

        var result = await daemon.CallAsync("mgmt.vm.Clone vault work", "name=twin");

        Assert.That(result.Error?.Code, Is.EqualTo(allowed ? null : ErrorCode.PermissionDenied));
        if (allowed)
        {
            Assert.That(daemon.Vm("twin").Tags.Select(t => t.Value), Does.Contain("created-by-vault"));
        }
    }

    [Test]
    public async Task Into_pools_the_policy_is_asked_for_that()
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers, policy: "mgmt.vm.CreateInPool.AppVM +debian vault @adminvm deny\n* * vault @anyvm allow\n* * vault @adminvm allow\n");
        Assert.That(await daemon.RefusalAsync("mgmt.vm.CloneInPool vault work", "name=twin pool=default"), Is.EqualTo(ErrorCode.PermissionDenied));
    }

    private Task<Daemon> OpenAsync() => Daemon.OpenAsync(drivers: _pools.Drivers);

    private string? Content(string pool, string vid) => _pools.Contents.GetValueOrDefault(new(PoolName.Parse(pool), Vid.Parse(vid)));

    private void AssertSettled(Daemon daemon)
    {
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
        Assert.That(_pools.OpenExports, Is.Zero);
        Assert.That(daemon.Services.Gates.Count, Is.Zero);
    }
}
