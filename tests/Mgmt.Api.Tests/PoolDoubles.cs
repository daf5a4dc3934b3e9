using Mgmt.Core;
using Moq;

namespace Mgmt.Api.Tests;

/// <summary>Pool drivers whose pools have a kernel and start any volume; what else they do, a test sets up.</summary>
internal static class PoolDoubles
{
    internal static IPoolDriver Driver(string name, Action<Mock<IStoragePool>> more)
    {
        var pool = new Mock<IStoragePool>();
        pool.Setup(p => p.Volumes).Returns([Vid.Parse("6.1")]);
        pool.Setup(p => p.OpenKernel(It.IsAny<string>())).Returns((BootImage)null!);
        pool.Setup(p => p.StartAsync(It.IsAny<VolumeRecord>(), It.IsAny<CancellationToken>()))
            .ReturnsAsync((VolumeRecord v, CancellationToken _) => new OpenVolume(v.Name, !v.Writable, v.SizeBytes, []));
        more(pool);
        var driver = new Mock<IPoolDriver>();
        driver.Setup(d => d.Name).Returns(name);
        driver.Setup(d => d.Parameters).Returns([]);
        driver.Setup(d => d.OpenAsync(It.IsAny<PoolRecord>(), It.IsAny<CancellationToken>())).ReturnsAsync(pool.Object);
        return driver.Object;
    }
}
