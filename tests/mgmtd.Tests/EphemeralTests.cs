using Mgmt.Core;
using Mgmt.Testing;

namespace Mgmt.Daemon.Tests;

/// <summary>Which volumes and pools can be ephemeral: refused at the call, not at the next start.</summary>
public sealed class EphemeralTests : DaemonFixture
{
    protected override DaemonOptions Options => new()
    {
        Host = """
            {
              "pools": { "default": { "driver": "qcow2" }, "thin": { "driver": "lvm_thin" }, "images": { "driver": "machined" }, "linux-kernel": { "driver": "linux-kernel" } },
              "vms": {
                "debian": { "class": "TemplateVM", "properties": { "label": "black" }, "volumes": {
                  "root": { "pool": "default", "vid": "vm-templates/debian/root", "size": 1048576, "rw": true, "save_on_stop": true, "snap_on_start": false } } }
              }
            }
            """,
    };

    [TestCase("thin", "lvm_thin")]
    [TestCase("images", "machined")]
    public async Task A_driver_that_cannot_encrypt_refuses_it_at_once(string pool, string driver)
    {
        var name = "on-" + pool;
        await Daemon.OkAsync("mgmt.vm.CreateInPool.AppVM", "dom0", "debian", $"name={name} label=red pool:volatile={pool}");
        var refused = await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Set.ephemeral", name, "volatile", "yes");
        Assert.That(refused.Message, Is.EqualTo($"Volume volatile of {name} cannot be ephemeral: the driver of pool {pool}, {driver}, cannot encrypt"));
        await Daemon.OkAsync("mgmt.vm.volume.Set.ephemeral", name, "volatile", "no");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", name, "volatile"), Does.Contain("\nephemeral=False\n"));
        refused = await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.pool.Set.ephemeral_volatile", "dom0", pool, "yes");
        Assert.That(refused.Message, Is.EqualTo($"Pool {pool} has no setting ephemeral_volatile: its driver is {driver}"));
        await Daemon.OkAsync("mgmt.vm.Start", name);
    }

    [Test]
    public async Task The_kernels_pool_has_no_such_setting() =>
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.pool.Set.ephemeral_volatile", "dom0", "linux-kernel", "yes");

    [TestCase("root")]
    [TestCase("private")]
    [TestCase("kernel")]
    public async Task A_volume_that_begins_with_something_or_keeps_something_cannot_be(string volume)
    {
        var name = "keeps-" + volume;
        await MakeVmAsync(name);
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Set.ephemeral", name, volume, "yes");
    }

    [Test]
    public async Task It_is_set_of_a_halted_vm_and_no_snapshot_is_made_of_it()
    {
        await MakeVmAsync("secret");
        await Daemon.OkAsync("mgmt.vm.volume.Set.ephemeral", "secret", "volatile", "yes");
        await RefusedSnapshotAsync();
        await Daemon.OkAsync("mgmt.vm.Start", "secret");
        await RefusedSnapshotAsync();
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotHaltedError, "mgmt.vm.volume.Set.ephemeral", "secret", "volatile", "no");
    }

    [Test]
    public async Task A_copy_in_a_pool_that_cannot_encrypt_is_refused_and_leaves_nothing()
    {
        await MakeVmAsync("original");
        await Daemon.OkAsync("mgmt.vm.volume.Set.ephemeral", "original", "volatile", "yes");
        await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.CloneInPool", "original", "", "name=copy pool:volatile=thin");
        await Daemon.RefusedAsync(ErrorCode.QubesVMNotFoundError, "mgmt.vm.volume.Info", "copy", "volatile");
        await Daemon.OkAsync("mgmt.vm.Clone", "original", "", "name=copy");
        Assert.That(await Daemon.OkAsync("mgmt.vm.volume.Info", "copy", "volatile"), Does.Contain("\nephemeral=True\n"));
    }

    private async Task RefusedSnapshotAsync()
    {
        var refused = await Daemon.RefusedAsync(ErrorCode.StoragePoolException, "mgmt.vm.volume.Snapshot", "secret", "volatile");
        Assert.That(refused.Message, Does.Contain("in the clear"));
    }
}
