using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests.Lifecycle;

public sealed class PoolMendingTests
{
    [Test]
    public async Task A_start_mends_each_pool_and_one_that_cannot_be_checked_stops_no_other()
    {
        var (broken, sound) = (new Mock<IStoragePool>(), new Mock<IStoragePool>());
        broken.Setup(p => p.CheckAsync(It.IsAny<IReadOnlyCollection<VolumeRecord>>(), It.IsAny<IReadOnlySet<Vid>>(), It.IsAny<bool>(), It.IsAny<CancellationToken>()))
            .ThrowsAsync(new IOException("the disk is gone"));
        sound.Setup(p => p.CheckAsync(It.IsAny<IReadOnlyCollection<VolumeRecord>>(), It.IsAny<IReadOnlySet<Vid>>(), true, It.IsAny<CancellationToken>()))
            .ReturnsAsync([
                new PoolFinding("size", "appvms/vault/private", "larger", false) { SizeBytes = 4294967296 }, new PoolFinding("leftover", ".tmp-x", "cut off", true),
                new PoolFinding("unknown", "x", "not ours", false),
            ]);
        await using var daemon = await Daemon.OpenAsync(drivers: [Driver(broken, sound)]);
        await daemon.Store.ApplyAsync(change => change.PutPool(new(PoolName.Parse("aaa"), "qcow2", VmRecord.Empty)), CancellationToken.None);
        await daemon.Pools.OpenAllAsync(daemon.Store.Current, CancellationToken.None);
        await new PoolMending(daemon.Services).MendAllAsync(CancellationToken.None);
        broken.Verify(p => p.CheckAsync(It.IsAny<IReadOnlyCollection<VolumeRecord>>(), It.IsAny<IReadOnlySet<Vid>>(), true, It.IsAny<CancellationToken>()), Times.Once);
        Assert.That(daemon.Vm("vault").Volumes[VolumeName.Private].SizeBytes, Is.EqualTo(4294967296));
        Assert.That(daemon.Events("vault"), Does.Contain("volume-resize volume=private"));
    }

    /// <summary>The pool whose name comes first is the broken one.</summary>
    private static IPoolDriver Driver(Mock<IStoragePool> broken, Mock<IStoragePool> sound)
    {
        var driver = new Mock<IPoolDriver>();
        driver.Setup(d => d.Name).Returns("qcow2");
        driver.Setup(d => d.OpenAsync(It.IsAny<PoolRecord>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((PoolRecord record, CancellationToken _) => (record.Name.Value == "aaa" ? broken : sound).Object);
        return driver.Object;
    }
}
