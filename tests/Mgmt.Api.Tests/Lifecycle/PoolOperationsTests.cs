using System.Collections.Immutable;
using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class PoolOperationsTests
{
    private static readonly PoolName Default = PoolName.Parse("default");
    private static readonly PoolName Extra = PoolName.Parse("extra");

    private static Mock<IPoolDriver> Driver(Mock<IStoragePool> pool)
    {
        var driver = new Mock<IPoolDriver>();
        driver.Setup(d => d.Name).Returns("qcow2");
        driver.Setup(d => d.Parameters).Returns([new("dir_path", true), new("size", false)]);
        driver.Setup(d => d.OpenAsync(It.IsAny<PoolRecord>(), It.IsAny<CancellationToken>())).ReturnsAsync(pool.Object);
        return driver;
    }

    private static Dictionary<string, string> Config(params (string Key, string Value)[] pairs) => pairs.ToDictionary(p => p.Key, p => p.Value, StringComparer.Ordinal);

    [Test]
    public async Task A_pool_that_cannot_be_recorded_is_closed_again()
    {
        var pool = new Mock<IStoragePool>();
        var driver = Driver(pool);
        await using var daemon = await Daemon.OpenAsync(drivers: [driver.Object]);
        // Somebody else is faster.
        driver.Setup(d => d.OpenAsync(It.IsAny<PoolRecord>(), It.IsAny<CancellationToken>())).Returns(async (PoolRecord record, CancellationToken token) =>
        {
            await daemon.Store.ApplyAsync(change => change.PutPool(record), token);
            return pool.Object;
        });
        await Daemon.RefusedAsync(ErrorCode.QubesException, new PoolOperations(daemon.Services).AddAsync(Extra, "qcow2", Config(("dir_path", "/x")), CancellationToken.None));
        pool.Verify(p => p.DisposeAsync(), Times.Once);
        Assert.That(daemon.Pools.TryGet(Extra), Is.Null);
        Assert.That(daemon.Events("").FindAll(e => e.StartsWith("pool-", StringComparison.Ordinal)), Is.Empty);
    }

    [Test]
    public async Task What_a_driver_needs_and_what_it_does_not_know_is_said_before_anything_is_opened()
    {
        var driver = Driver(new Mock<IStoragePool>());
        await using var daemon = await Daemon.OpenAsync(drivers: [driver.Object]);
        driver.Invocations.Clear();
        var pools = new PoolOperations(daemon.Services);
        var missing = await Daemon.RefusedAsync(ErrorCode.QubesException, pools.AddAsync(Extra, "qcow2", Config(("size", "1")), CancellationToken.None));
        Assert.That(missing.Message, Is.EqualTo("missing required driver options: dir_path"));
        var unknown = await Daemon.RefusedAsync(ErrorCode.ProtocolError, pools.AddAsync(Extra, "qcow2", Config(("dir_path", "/x"), ("color", "red")), CancellationToken.None));
        Assert.That(unknown.Message, Is.EqualTo("Unexpected driver options found"));
        driver.Verify(d => d.OpenAsync(It.IsAny<PoolRecord>(), It.IsAny<CancellationToken>()), Times.Never);
    }

    [Test]
    public async Task A_check_leaves_alone_what_is_worked_on_and_records_the_sizes_it_found()
    {
        IReadOnlySet<Vid> inUse = ImmutableHashSet<Vid>.Empty;
        var pool = new Mock<IStoragePool>();
        pool.Setup(p => p.CheckAsync(It.IsAny<IReadOnlyCollection<VolumeRecord>>(), It.IsAny<IReadOnlySet<Vid>>(), It.IsAny<bool>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((IReadOnlyCollection<VolumeRecord> _, IReadOnlySet<Vid> used, bool _, CancellationToken _) =>
            {
                inUse = used;
                return [new PoolFinding("size", "appvms/vault/private", "larger", false) { SizeBytes = 4294967296 }, new PoolFinding("unknown", "x", "not ours", false)];
            });
        await using var daemon = await Daemon.OpenAsync(drivers: [Driver(pool).Object]);
        var pools = new PoolOperations(daemon.Services);
        await daemon.Store.ApplyAsync(change => change.AddVolumeInWork(new(Default, Vid.Parse("appvms/new/root"))), CancellationToken.None);
        using (await daemon.Services.Gates.EnterAsync(Daemon.Name("work"), CancellationToken.None))
        {
            Assert.That((await pools.CheckAsync(Default, false, CancellationToken.None)).Select(f => f.Mended), Is.EqualTo(new[] { false, false }));
            Assert.That(inUse.Select(vid => vid.Value), Is.EquivalentTo(new[] { "appvms/new/root", "appvms/work/root", "appvms/work/private", "appvms/work/volatile" }));
            Assert.That(daemon.Vm("vault").Volumes[VolumeName.Private].SizeBytes, Is.EqualTo(2147483648));
        }
        Assert.That((await pools.CheckAsync(Default, true, CancellationToken.None)).Select(f => f.Mended), Is.EqualTo(new[] { true, false }));
        Assert.That(daemon.Vm("vault").Volumes[VolumeName.Private].SizeBytes, Is.EqualTo(4294967296));
        Assert.That(inUse.Select(vid => vid.Value), Is.EqualTo(new[] { "appvms/new/root" }));
        // The gates are free again.
        (await daemon.Services.Gates.EnterAsync(Daemon.Name("vault"), CancellationToken.None)).Dispose();
    }

    [Test]
    public async Task A_pool_in_which_a_volume_is_being_made_is_in_use()
    {
        await using var daemon = await Daemon.OpenAsync();
        var pools = new PoolOperations(daemon.Services);
        await pools.AddAsync(Extra, "qcow2", Config(), CancellationToken.None);
        var work = new VolumeInWork(Extra, Vid.Parse("appvms/new/root"));
        await daemon.Store.ApplyAsync(change => change.AddVolumeInWork(work), CancellationToken.None);
        var refused = await Daemon.RefusedAsync(ErrorCode.QubesPoolInUseError, pools.RemoveAsync(Extra, CancellationToken.None));
        Assert.That(refused.Message, Is.EqualTo("Storage pool is in use: 'extra'; see a volume that is being made or removed"));
        Assert.That(daemon.Pools.TryGet(Extra), Is.Not.Null);
        await daemon.Store.ApplyAsync(change => change.RemoveVolumeInWork(work), CancellationToken.None);
        await pools.RemoveAsync(Extra, CancellationToken.None);
        Assert.That(daemon.Pools.TryGet(Extra), Is.Null);
    }

    [Test]
    public async Task No_volume_is_begun_in_a_pool_that_is_being_removed()
    {
        await using var daemon = await Daemon.OpenAsync();
        await new PoolOperations(daemon.Services).AddAsync(Extra, "qcow2", Config(), CancellationToken.None);
        // Taken out of the state, and not closed yet.
        await daemon.Store.ApplyAsync(change => change.RemovePool(Extra), CancellationToken.None);
        await Daemon.RefusedAsync(ErrorCode.QubesPoolNotFoundError, daemon.Unfinished.BeginAsync([new(Extra, Vid.Parse("appvms/new/root"))], CancellationToken.None));
        Assert.That(daemon.Store.Current.VolumesInWork, Is.Empty);
    }

    [Test]
    public async Task What_describes_the_volumes_of_a_thin_pool_is_counted_apart()
    {
        var pool = new Mock<IStoragePool>();
        pool.Setup(p => p.Usage).Returns(new PoolUsage(4096, 512) { MetadataSizeBytes = 1024, MetadataUsedBytes = 64 });
        await using var daemon = await Daemon.OpenAsync(drivers: [Driver(pool).Object]);
        Assert.That(await daemon.TextAsync("mgmt.pool.UsageDetails+default dom0 dom0"), Is.EqualTo("data_size=4096\ndata_usage=512\nmetadata_size=1024\nmetadata_usage=64\n"));
        pool.Setup(p => p.Usage).Returns(new PoolUsage(4096, null));
        Assert.That(await daemon.TextAsync("admin.pool.UsageDetails+default dom0 dom0"), Is.EqualTo("data_size=4096\n"));
    }
}
