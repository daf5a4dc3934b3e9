using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>Which directories the drivers of file pools work in.</summary>
public sealed class DriverTests
{
    [TestCase("ext4")]
    [TestCase("tmpfs")]
    public async Task A_file_system_that_shares_no_blocks_is_refused_with_the_reason(string kind)
    {
        var root = LoopFileSystem.NewDirectory(kind);
        var error = await RefusedAsync("file-reflink", root);
        Assert.That(error.Message, Does.Contain("share blocks").And.Contain("qcow2"));
        Assert.That(Directory.GetFileSystemEntries(Path.Combine(root, "default")), Is.Empty, "what was tried is gone");
        // Nor is the directory taken.
        await using var pool = await PoolFixture.NewDriver("qcow2", root, "qemu-img", static _ => { }).OpenAsync(PoolFixture.Record(), CancellationToken.None);
        Assert.That(pool.Volumes, Is.Empty);
    }

    [Test]
    public async Task Pools_of_two_drivers_do_not_share_a_directory()
    {
        var root = LoopFileSystem.NewDirectory("btrfs");
        await using (await PoolFixture.NewDriver("qcow2", root, "qemu-img", static _ => { }).OpenAsync(PoolFixture.Record(), CancellationToken.None))
        {
            Assert.That((await RefusedAsync("file-reflink", root)).Message, Does.Contain("another pool"));
        }
        await using var pool = await PoolFixture.NewDriver("file-reflink", root, "qemu-img", static _ => { }).OpenAsync(PoolFixture.Record(), CancellationToken.None);
        Assert.That(pool.Volumes, Is.Empty);
    }

    private static async Task<MgmtException> RefusedAsync(string driver, string root)
    {
        var error = await Assert.ThrowsAsync<MgmtException>(() => PoolFixture.NewDriver(driver, root, "qemu-img", static _ => { }).OpenAsync(PoolFixture.Record(), CancellationToken.None));
        Assert.That(error!.Code, Is.EqualTo(ErrorCode.StoragePoolException));
        return error;
    }
}
