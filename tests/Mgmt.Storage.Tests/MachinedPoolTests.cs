using Mgmt.Core;
using Mgmt.Machined;
using Mgmt.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>The machined driver on the real systemd-machined with real images.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MachinedPoolTests
{
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60));
    private MachinedHost? _host;
    private MachinedRegistry? _registry;
    private MachinedDriver? _driver;
    private IStoragePool? _pool;

    private IStoragePool Pool => _pool!;

    private IImagePool Images => (IImagePool)_pool!;

    private CancellationToken Token => _deadline.Token;

    [SetUp]
    public async Task Open()
    {
        _host = await MachinedHost.StartAsync(Token);
        await ShellAsync("printf hello > /var/lib/machines/web.raw; truncate -s 8M /var/lib/machines/web.raw; mkdir /var/lib/machines/tree; touch '/var/lib/machines/not a vid.raw' /var/lib/machines/.hidden.raw");
        _registry = new MachinedRegistry(new MachinedOptions { BusAddress = _host.BusAddress, ImageDeadline = TimeSpan.FromSeconds(20) }, TimeProvider.System, NullLogger<MachinedRegistry>.Instance);
        _driver = new MachinedDriver(_registry.Images, NullLogger<MachinedDriver>.Instance, TimeProvider.System, () => $"/proc/{_host.MachinedPid}/root");
        _pool = await _driver.OpenAsync(Record(), Token);
    }

    [TearDown]
    public async Task Close()
    {
        try
        {
            await (_pool?.DisposeAsync() ?? ValueTask.CompletedTask);
            await (_registry?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
        finally
        {
            // Whatever happened before: processes that nobody ends would stay.
            await (_host?.DisposeAsync() ?? ValueTask.CompletedTask);
            _deadline.Dispose();
        }
    }

    [Test]
    public void Images_are_volumes_by_their_names_and_the_host_itself_is_none()
    {
        Assert.That(Pool.Volumes.Select(vid => vid.Value), Is.EqualTo(new[] { "tree", "web" }));
        Assert.That(Images.Images.Select(image => image.Type), Is.EqualTo(new[] { "directory", "raw" }));
        Assert.That(Pool.UsageBytes(Vid.Parse("web")), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_raw_image_runs_on_itself()
    {
        var volume = Volume("web");
        using (var open = await Pool.StartAsync(volume, Token))
        {
            Assert.That((open.SizeBytes, open.ReadOnly, open.Layers.Single().Format), Is.EqualTo((8L << 20, false, "raw")));
            RandomAccess.Write(open.Layers[0].File, "J"u8, 0);
            Assert.That(await CodeOf(() => Pool.ExportAsync(volume, null, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Images.RemoveImageAsync(Vid.Parse("web"), true, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        await Pool.StopAsync(volume, Token);
        using var export = await Pool.ExportAsync(volume, null, Token);
        var bytes = new byte[5];
        RandomAccess.Read(export.Layers[0].File, bytes, 0);
        Assert.That(bytes, Is.EqualTo("Jello"u8.ToArray()));
        Assert.Throws<UnauthorizedAccessException>(() => RandomAccess.Write(export.Layers[0].File, "x"u8, 0));
    }

    [Test]
    public async Task What_is_no_raw_image_is_no_disk()
    {
        await ShellAsync("cd /var/lib/machines; ln -s /etc/hostname trap.raw");
        using (Assert.EnterMultipleScope())
        {
            Assert.That((await Assert.ThrowsAsync<MgmtException>(() => Pool.StartAsync(Volume("tree"), Token)))!.Message, Is.EqualTo("Image tree is a directory: only raw images are disks"));
            Assert.That(await CodeOf(() => Pool.StartAsync(Volume("none"), Token)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
            Assert.That(await CodeOf(() => Pool.ExportAsync(Volume("trap"), null, Token)), Is.EqualTo(ErrorCode.StoragePoolException), "a symbolic link");
            Assert.That(await CodeOf(() => Pool.StartAsync(Volume("appvms/work/root"), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.StartAsync(Volume("web") with { SaveOnStop = false }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.CreateAsync(Volume("web"), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.SnapshotAsync(Volume("web"), RevisionTraits.Of(RevisionCause.Snapshot), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
    }

    [Test]
    public async Task Removing_a_VMs_volume_leaves_the_image()
    {
        await Pool.RemoveAsync(Volume("web"), Token);
        Assert.That(await ShellAsync("ls /var/lib/machines"), Does.Contain("web.raw"));
    }

    [Test]
    public async Task Images_are_kept_in_order()
    {
        await Images.CloneImageAsync(Vid.Parse("web"), Vid.Parse("copy"), true, Token);
        await Images.CloneImageAsync(Vid.Parse("tree"), Vid.Parse("tree2"), false, Token);
        Assert.That(Images.Images.Select(image => (image.Name, image.ReadOnly)), Is.EqualTo(new[] { ("copy", true), ("tree", false), ("tree2", false), ("web", false) }));
        Assert.That(await CodeOf(() => Pool.StartAsync(Volume("copy"), Token)), Is.EqualTo(ErrorCode.StoragePoolException), "read-only");
        using (var open = await Pool.StartAsync(Volume("copy") with { Writable = false }, Token))
        {
            Assert.That(open.ReadOnly, Is.True);
        }
        await Pool.StopAsync(Volume("copy"), Token);
        Assert.That(await CodeOf(() => Images.RemoveImageAsync(Vid.Parse("copy"), false, Token)), Is.EqualTo(ErrorCode.StoragePoolException), "read-only");
        await Images.RemoveImageAsync(Vid.Parse("copy"), true, Token);
        await Images.SetReadOnlyAsync(Vid.Parse("web"), true, Token);
        await Images.SetReadOnlyAsync(Vid.Parse("web"), false, Token);
        await Images.RenameImageAsync(Vid.Parse("web"), Vid.Parse("shop"), Token);
        Assert.That(Pool.Volumes.Select(vid => vid.Value), Is.EqualTo(new[] { "shop", "tree", "tree2" }));
    }

    [Test]
    public async Task Names_that_are_none_or_taken_change_nothing([Values("tree", ".host", "-rf", "appvms/x/root")] string name)
    {
        Assert.That(await CodeOf(() => Images.CloneImageAsync(Vid.Parse("web"), Vid.Parse(name), false, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Images.RenameImageAsync(Vid.Parse("web"), Vid.Parse(name), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(Pool.Volumes.Select(vid => vid.Value), Is.EqualTo(new[] { "tree", "web" }));
    }

    [Test]
    public async Task Limits_hold_for_subvolumes_of_btrfs_with_quotas()
    {
        Requirement.Program("mkfs.btrfs");
        // On the host's memory file system: loop devices are the whole machine's.
        await ShellAsync("truncate -s 256M /run/systemd/pool.img && mkfs.btrfs -q /run/systemd/pool.img && mount -o loop /run/systemd/pool.img /var/lib/machines && btrfs quota enable /var/lib/machines && btrfs subvolume create /var/lib/machines/sub && truncate -s 1M /var/lib/machines/disk.raw");
        try
        {
            await Pool.CheckAsync([], new HashSet<Vid>(), false, Token);
            Assert.That(Images.Images.Select(image => (image.Name, image.Type)), Is.EqualTo(new[] { ("disk", "raw"), ("sub", "subvolume") }));
            await Images.SetLimitAsync(Vid.Parse("sub"), 64 << 20, Token);
            Assert.That((await _registry!.Images.GetAsync("sub", Token)).LimitBytes, Is.EqualTo(64 << 20));
            Assert.That(await CodeOf(() => Images.SetLimitAsync(Vid.Parse("disk"), 64 << 20, Token)), Is.EqualTo(ErrorCode.MgmtUnsupportedError));
            Assert.That(await CodeOf(() => Images.SetLimitAsync(Vid.Parse("sub"), 0, Token)), Is.EqualTo(ErrorCode.QubesValueError));
            await Images.SetPoolLimitAsync(128 << 20, Token);
            Assert.That(Pool.Usage.SizeBytes, Is.EqualTo(128 << 20));
        }
        finally
        {
            await ShellAsync("umount /var/lib/machines");
        }
    }

    [Test]
    public async Task There_is_one_such_pool_on_a_host_and_it_can_be_opened_again()
    {
        Assert.That(await CodeOf(() => _driver!.OpenAsync(Record("second"), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        await Pool.DisposeAsync();
        _pool = await _driver!.OpenAsync(Record("second"), Token);
        Assert.That(Pool.Volumes, Has.Length.EqualTo(2));
    }

    [Test]
    public async Task Without_machined_the_pool_is_not_opened_and_an_open_one_goes_on_from_memory()
    {
        await _host!.StopAsync(Token);
        Assert.That(Pool.Volumes, Has.Length.EqualTo(2));
        Assert.That(await CodeOf(() => Pool.StartAsync(Volume("web"), Token)), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        Assert.That(await CodeOf(() => Pool.CheckAsync([], new HashSet<Vid>(), false, Token)), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await Pool.DisposeAsync();
        _pool = null;
        Assert.That(await CodeOf(() => _driver!.OpenAsync(Record(), Token)), Is.EqualTo(ErrorCode.MgmtUnavailableError));
        await _host.UpAsync(Token);
    }

    [Test]
    public async Task A_check_tells_of_records_whose_image_is_gone()
    {
        await ShellAsync("rm /var/lib/machines/web.raw");
        var findings = await Pool.CheckAsync([Volume("web"), Volume("tree")], new HashSet<Vid>(), true, Token);
        Assert.That(findings.Select(finding => (finding.Kind, finding.What, finding.Mended)), Is.EqualTo(new[] { ("missing", "web", false) }));
    }

    private Task<string> ShellAsync(string script) => _host!.RunAsync(["sh", "-c", script], Token);

    private static PoolRecord Record(string name = "machines") => new(PoolName.Parse(name), "machined", VmRecord.Empty);

    private static VolumeRecord Volume(string vid) => new()
    {
        Name = VolumeName.Private, Pool = PoolName.Parse("machines"), Vid = Vid.Parse(vid), SizeBytes = 8 << 20, Writable = true, SaveOnStop = true, SnapOnStart = false,
    };

    private static async Task<ErrorCode> CodeOf(Func<Task> act) => (await Assert.ThrowsAsync<MgmtException>(act))!.Code;
}
