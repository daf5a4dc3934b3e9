using Mgmt.Core;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class UnfinishedVolumesTests
{
    private ClonePools _pools = null!;

    [SetUp]
    public void SetUp() => _pools = new();

    [Test]
    public async Task Volumes_are_written_down_before_the_first_is_made_and_taken_back_with_the_vm()
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers);
        var seen = new List<int>();
        _pools.Error = (_, _) =>
        {
            seen.Add(daemon.Store.Current.VolumesInWork.Count);
            return null;
        };

        await daemon.TextAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=new label=red");

        Assert.That(seen, Is.EqualTo(new[] { 3, 3, 3 }));
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
    }

    [Test]
    public async Task A_removed_vm_leaves_its_volumes_written_down_until_they_are_gone()
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers);
        _pools.Error = (what, volume) =>
        {
            Assert.That(daemon.Store.Current.VolumesInWork, Has.Count.EqualTo(3));
            return volume.Name == VolumeName.Private && volume.Vid!.Value.Value.EndsWith("private", StringComparison.Ordinal) ? new IOException(what) : null;
        };

        await daemon.TextAsync("mgmt.vm.Remove dom0 work");

        Assert.That(daemon.Store.Current.VolumesInWork.Select(v => v.Vid.Value), Is.EqualTo(new[] { "appvms/work/private" }));
        _pools.Error = (_, _) => null;
        await new UnfinishedVolumes(daemon.Services).RemoveLeftoversAsync(CancellationToken.None);
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
        Assert.That(_pools.Log[^1], Is.EqualTo("remove default:appvms/work/private"));
    }

    [Test]
    public async Task A_creation_that_fails_takes_back_what_was_written_except_of_what_could_not_be_removed()
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers);
        _pools.Error = (what, volume) => (what, volume.Vid!.Value.Value) is ("create", "appvms/new/volatile") or ("remove", "appvms/new/root") ? new IOException(what) : null;

        Assert.That(await daemon.RefusalAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=new label=red"), Is.EqualTo(ErrorCode.MgmtInternalError));

        Assert.That(daemon.Store.Current.VolumesInWork.Select(v => v.Vid.Value), Is.EqualTo(new[] { "appvms/new/root" }));
        // The next one of that name makes up for it.
        _pools.Error = (_, _) => null;
        await daemon.TextAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=new label=red");
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
        Assert.That(_pools.Contents.Keys.Select(k => k.Vid.Value), Is.EqualTo(new[] { "appvms/new/private", "appvms/new/root", "appvms/new/volatile" }));
    }

    [Test]
    public async Task At_start_only_what_is_written_down_and_belongs_to_no_vm_is_removed()
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers);
        var (named, lost, foreign, broken, gone) = (InWork("default", "appvms/work/private"), InWork("default", "appvms/half/private"), InWork("default", "appvms/foreign/private"),
            InWork("broken", "appvms/half/root"), InWork("forgotten", "appvms/half/root"));
        await daemon.Store.ApplyAsync(change =>
        {
            change.PutPool(new(broken.Pool, "qcow2", VmRecord.Empty));
            foreach (var volume in new[] { named, lost, broken, gone })
            {
                change.AddVolumeInWork(volume);
            }
        }, CancellationToken.None);
        await daemon.Pools.OpenAllAsync(daemon.Store.Current, CancellationToken.None);
        foreach (var volume in new[] { named, lost, foreign })
        {
            _pools.Contents[volume] = "content";
        }

        await new UnfinishedVolumes(daemon.Services).RemoveLeftoversAsync(CancellationToken.None);

        Assert.That(_pools.Contents.Keys, Is.EqualTo(new[] { foreign, named }));
        Assert.That(daemon.Store.Current.VolumesInWork, Is.EqualTo(new[] { broken }));
    }

    [Test]
    public async Task A_volume_that_is_there_and_not_ours_is_neither_taken_over_nor_removed()
    {
        await using var daemon = await Daemon.OpenAsync(drivers: _pools.Drivers);
        _pools.Contents[InWork("default", "appvms/new/private")] = "foreign";

        Assert.That(await daemon.RefusalAsync("mgmt.vm.Create.AppVM+debian dom0 dom0", "name=new label=red"), Is.EqualTo(ErrorCode.StoragePoolException));

        Assert.That(_pools.Contents.Values, Is.EqualTo(new[] { "foreign" }));
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
    }

    private static VolumeInWork InWork(string pool, string vid) => new(PoolName.Parse(pool), Vid.Parse(vid));
}
