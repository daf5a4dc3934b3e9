using System.Collections.Immutable;
using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests;

/// <summary>Pools that note what is asked of them for snapshots.</summary>
internal sealed class SnapshotPools
{
    internal SnapshotPools() => Drivers = [Driver("qcow2"), Driver("linux-kernel")];

    internal ImmutableArray<IPoolDriver> Drivers { get; }
    internal int Opened { get; private set; }
    internal int Closed { get; private set; }
    internal List<Revision> Made { get; } = [];

    private IPoolDriver Driver(string name)
    {
        var pool = new Mock<IStoragePool>();
        pool.Setup(p => p.Volumes).Returns([Vid.Parse("6.1")]);
        pool.Setup(p => p.OpenKernel(It.IsAny<string>())).Returns((BootImage)null!);
        pool.Setup(p => p.StartAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((VolumeRecord v, CancellationToken _) => new OpenVolume(v.Name, !v.Writable, v.SizeBytes, []));
        pool.Setup(p => p.StopAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>())).Returns(Task.CompletedTask);
        pool.Setup(p => p.SnapshotAsync(It.IsAny<VolumeRecord>(), It.IsAny<RevisionTraits>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((VolumeRecord _, RevisionTraits traits, CancellationToken _) => Make(traits));
        pool.Setup(p => p.OpenSnapshotTargetAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>())).ReturnsAsync(() =>
        {
            Opened++;
            return new Target(this);
        });
        var driver = new Mock<IPoolDriver>();
        driver.Setup(d => d.Name).Returns(name);
        driver.Setup(d => d.Parameters).Returns([]);
        driver.Setup(d => d.OpenAsync(It.IsAny<PoolRecord>(), It.IsAny<CancellationToken>())).ReturnsAsync(pool.Object);
        return driver.Object;
    }

    private Revision Make(RevisionTraits traits)
    {
        var revision = new Revision(RevisionId.Parse($"{Made.Count + 1}"), DateTimeOffset.UnixEpoch, traits, 512);
        Made.Add(revision);
        return revision;
    }

    private sealed class Target(SnapshotPools pools) : ISnapshotTarget
    {
        public ImageLayer Image { get; } = new(new Microsoft.Win32.SafeHandles.SafeFileHandle(-1, false), "qcow2", false);

        public Task<Revision> CompleteAsync(RevisionTraits traits, CancellationToken cancellation) => Task.FromResult(pools.Make(traits));

        public ValueTask DisposeAsync()
        {
            pools.Closed++;
            return ValueTask.CompletedTask;
        }
    }
}
