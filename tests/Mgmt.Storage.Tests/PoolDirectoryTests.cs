using Mgmt.Core;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PoolDirectoryTests : PoolFixture
{
    [Test]
    public async Task A_directory_outside_the_roots_is_refused([Values("/etc", "{0}", "{0}/pools", "{0}/pools/../x", "{0}/poolsx/y", "pools/x", "{0}/pools//x")] string path) =>
        await Refused(path.Replace("{0}", Top, StringComparison.Ordinal));

    [Test]
    public async Task A_directory_inside_another_pool_is_refused() => await Refused(PoolPath + "/inner");

    [Test]
    public async Task A_directory_behind_a_symbolic_link_is_refused()
    {
        Directory.CreateSymbolicLink(Path.Combine(Top, "pools/link"), "/tmp");
        await Refused(Path.Combine(Top, "pools/link/x"));
        await Refused(Path.Combine(Top, "pools/link"));
    }

    [Test]
    public async Task A_directory_that_others_may_write_is_refused()
    {
        var path = Directory.CreateDirectory(Path.Combine(Top, "pools/open")).FullName;
        File.SetUnixFileMode(path, (UnixFileMode)0x1ff);
        await Refused(path);
    }

    [Test]
    public async Task A_symbolic_link_in_the_pool_is_refused([Values("appvms", "appvms/work", "appvms/work/private.qcow2")] string where)
    {
        var victim = Directory.CreateDirectory(Path.Combine(Top, "victim")).FullName;
        var link = Path.Combine(PoolPath, where);
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, where.EndsWith("qcow2", StringComparison.Ordinal) ? Path.Combine(victim, "file") : victim);
        var volume = Volume("appvms/work/private", save: true);
        Assert.That(await CodeOf(() => Pool.CreateAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.StartAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.RemoveAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(Directory.EnumerateFileSystemEntries(victim), Is.Empty);
    }

    [Test]
    public async Task What_an_interrupted_operation_left_is_removed_at_open()
    {
        await File.WriteAllTextAsync(Path.Combine(PoolPath, ".tmp-x.raw"), "x", Token);
        await File.WriteAllTextAsync(Path.Combine(PoolPath, "foreign"), "x", Token);
        await Reopen();
        Assert.That(Files(PoolPath), Is.EqualTo(new[] { "foreign" }));
    }

    [Test]
    public async Task Ids_that_would_claim_the_files_of_another_volume_are_refused([Values("a/private.run/root", "a/root")] string good, [Values("x.run", "x.base", "x.commit", ".tmp-x", "x.qcow2/y")] string bad)
    {
        await Pool.CreateAsync(Volume(good, save: true), Token);
        Assert.That(await CodeOf(() => Pool.CreateAsync(Volume("a/root", save: true) with { Vid = Vid.Parse(bad) }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
    }

    [Test]
    public async Task Kernels_are_listed_and_opened_by_name_only()
    {
        var driver = new LinuxKernelDriver([Path.Combine(Top, "kernels")], NullLogger<LinuxKernelDriver>.Instance, TimeProvider.System);
        var directory = Directory.CreateDirectory(Path.Combine(Top, "kernels/linux-kernel/6.1")).FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, "vmlinuz"), "kernel", Token);
        await File.WriteAllTextAsync(Path.Combine(directory, "initramfs"), "initramfs", Token);
        Directory.CreateSymbolicLink(Path.Combine(Top, "kernels/linux-kernel/link"), directory);
        await using var pool = await driver.OpenAsync(Record(name: "linux-kernel"), Token);
        Assert.That(pool.Volumes, Is.EqualTo(new[] { Vid.Parse("6.1") }));
        using (var boot = pool.OpenKernel("6.1"))
        {
            Assert.That(RandomAccess.GetLength(boot.Kernel!), Is.EqualTo(6));
            Assert.That(RandomAccess.GetLength(boot.Initramfs!), Is.EqualTo(9));
        }
        foreach (var name in (string[])["", "none", "..", "6.1/../6.1", "link", "/etc"])
        {
            Assert.That(Assert.Throws<MgmtException>(() => pool.OpenKernel(name))!.Code, Is.EqualTo(ErrorCode.QubesVolumeNotFoundError), name);
        }
        var volume = Volume("appvms/work/kernel", save: false) with { Vid = Vid.Parse("6.1"), Writable = false };
        await pool.RemoveAsync(volume, Token);
        using var open = await pool.StartAsync(volume, Token);
        Assert.That(open.Layers, Is.Empty);
        var gone = volume with { Vid = Vid.Parse("6.2") };
        Assert.That((await pool.CheckAsync([volume, gone, gone], new HashSet<Vid>(), true, Token)).Select(finding => (finding.Kind, finding.What, finding.Mended)), Is.EqualTo(new[] { ("missing", "6.2", false) }));
        File.Delete(Path.Combine(directory, "vmlinuz"));
        File.CreateSymbolicLink(Path.Combine(directory, "vmlinuz"), "/etc/passwd");
        Assert.That(Assert.Throws<MgmtException>(() => pool.OpenKernel("6.1"))!.Code, Is.EqualTo(ErrorCode.StoragePoolException));
    }

    private async Task Refused(string path) =>
        Assert.That(await CodeOf(() => OpenedBy.OpenAsync(Record(path, "other"), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
}
