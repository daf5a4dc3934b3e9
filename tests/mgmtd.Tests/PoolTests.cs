using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Pools added, changed, checked and removed, on the host in memory.</summary>
public sealed class PoolTests : DaemonFixture
{
    private Task<string> AddAsync(string name, string more = "") => Daemon.OkAsync("mgmt.pool.Add", "dom0", "qcow2", $"name={name}\n{more}");

    [Test]
    public async Task A_pool_is_added_used_and_removed_when_nothing_uses_it()
    {
        await using var events = await Daemon.EventsAsync("since=now\nevent=pool-*");
        await AddAsync("extra", "revisions_to_keep=3\n");
        Assert.That(await Daemon.OkAsync("mgmt.pool.List"), Does.Contain("\nextra\n"));
        Assert.That(await Daemon.OkAsync("mgmt.pool.Info", "dom0", "extra"), Does.StartWith("driver=qcow2\nephemeral_volatile=False\nname=extra\nrevisions_to_keep=3\n"));
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "debian", "name=inextra label=red pool:private=extra");
        Assert.That(await Daemon.OkAsync("mgmt.pool.volume.List", "dom0", "extra"), Is.EqualTo("appvms/inextra/private\n"));
        var refused = await Daemon.RefusedAsync(ErrorCode.QubesPoolInUseError, "mgmt.pool.Remove", "dom0", "extra");
        Assert.That(refused.Message, Is.EqualTo("Storage pool is in use: 'extra'; see volume private of inextra"));
        await Daemon.OkAsync("mgmt.vm.Remove", "inextra");
        await Daemon.OkAsync("mgmt.property.Set", "dom0", "default_pool_private", "extra");
        await Daemon.RefusedAsync(ErrorCode.QubesPoolInUseError, "admin.pool.Remove", "dom0", "extra");
        await Daemon.OkAsync("mgmt.property.Reset", "dom0", "default_pool_private");
        await Daemon.OkAsync("admin.pool.Remove", "dom0", "extra");
        await Daemon.RefusedAsync(ErrorCode.QubesPoolNotFoundError, "mgmt.pool.Info", "dom0", "extra");
        var told = await events.UntilAsync(e => e.Name == "pool-delete");
        Assert.That(told.Where(e => e["pool"] == "extra").Select(e => e.Name), Is.EqualTo(new[] { "pool-add", "pool-pre-delete", "pool-pre-delete", "pool-pre-delete", "pool-delete" }));
        await AddAsync("extra");
        await Daemon.OkAsync("mgmt.pool.Remove", "dom0", "extra");
    }

    [Test]
    public async Task Settings_of_a_pool_are_those_of_its_volumes_from_then_on()
    {
        await AddAsync("sets");
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "debian", "name=insets label=red pool:private=sets");
        await Daemon.OkAsync("admin.pool.Set.revisions_to_keep", "dom0", "sets", "2");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "insets", "private"), Does.Contain("\nrevisions_to_keep=2\n"));
        foreach (var expected in new[] { "1\n", "1\n2\n", "2\n3\n" })
        {
            await Daemon.OkAsync("mgmt.vm.volume.Snapshot", "insets", "private");
            Assert.That(await Daemon.OkAsync("mgmt.vm.volume.ListSnapshots", "insets", "private"), Is.EqualTo(expected));
        }
        await Daemon.OkAsync("mgmt.pool.Set.ephemeral_volatile", "dom0", "sets", "on");
        Assert.That(await Daemon.OkAsync("mgmt.pool.Info", "dom0", "sets"), Does.Contain("\nephemeral_volatile=True\n"));
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "debian", "name=secret label=red pool:volatile=sets");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "secret", "volatile"), Does.Contain("\nephemeral=True\n"));
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "secret", "private"), Does.Contain("\nephemeral=False\n"));
        await Daemon.OkAsync("mgmt.vm.Remove", "secret");
        Assert.That(await Daemon.OkAsync("mgmt.pool.UsageDetails", "dom0", "sets"), Is.EqualTo("data_size=1099511627776\ndata_usage=0\n"));
    }

    [Test]
    public async Task A_check_reports_and_mend_puts_recorded_sizes_right()
    {
        await AddAsync("checks");
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "checks"), Is.Empty);
        Assert.That(await Daemon.OkAsync("mgmt.pool.Check", "dom0", "checks", "mend"), Is.Empty);
        await Daemon.RefusedAsync(ErrorCode.ProtocolError, "mgmt.pool.Check", "dom0", "checks", "delete");
        await Daemon.RefusedAsync(ErrorCode.QubesPoolNotFoundError, "mgmt.pool.Check", "dom0", "nowhere");
    }

    [TestCase("qcow2", "", ErrorCode.ProtocolError)]
    [TestCase("qcow2", "revisions_to_keep=1\n", ErrorCode.ProtocolError)]
    [TestCase("qcow2", "name=bad\nname=bad\n", ErrorCode.ProtocolError)]
    [TestCase("qcow2", "name=bad\nrevisions_to_keep\n", ErrorCode.ProtocolError)]
    [TestCase("qcow2", "name=bad\ncolor=red\n", ErrorCode.ProtocolError)]
    [TestCase("qcow2", "name=bad\nrevisions_to_keep=-2\n", ErrorCode.StoragePoolException)]
    [TestCase("qcow2", "name=bad\ndir_path=/a\0b\n", ErrorCode.QubesValueError)]
    [TestCase("qcow2", "name=../bad\n", ErrorCode.QubesValueError)]
    [TestCase("qcow2", "name=.bad\n", ErrorCode.QubesValueError)]
    [TestCase("qcow2", "name=default\n", ErrorCode.QubesException)]
    [TestCase("nosuch", "name=bad\n", ErrorCode.QubesPoolNotFoundError)]
    public async Task A_pool_that_cannot_be_is_not_added(string driver, string payload, ErrorCode error)
    {
        var before = await Daemon.OkAsync("mgmt.pool.List");
        await Daemon.RefusedAsync(error, "mgmt.pool.Add", "dom0", driver, payload);
        Assert.That(await Daemon.OkAsync("mgmt.pool.List"), Is.EqualTo(before));
    }

    [TestCase("pool.Remove", "default", "", ErrorCode.QubesPoolInUseError)]
    [TestCase("pool.Remove", "linux-kernel", "", ErrorCode.QubesPoolInUseError)]
    [TestCase("pool.Remove", "nowhere", "", ErrorCode.QubesPoolNotFoundError)]
    [TestCase("pool.Set.revisions_to_keep", "default", "-2", ErrorCode.QubesValueError)]
    [TestCase("pool.Set.revisions_to_keep", "default", "many", ErrorCode.QubesValueError)]
    [TestCase("pool.Set.revisions_to_keep", "linux-kernel", "1", ErrorCode.StoragePoolException)]
    [TestCase("pool.Set.ephemeral_volatile", "default", "perhaps", ErrorCode.QubesValueError)]
    [TestCase("pool.UsageDetails", "nowhere", "", ErrorCode.QubesPoolNotFoundError)]
    public async Task Bad_changes_of_a_pool_are_refused(string call, string pool, string payload, ErrorCode error) =>
        await Daemon.RefusedAsync(error, "mgmt." + call, "dom0", pool, payload);
}
