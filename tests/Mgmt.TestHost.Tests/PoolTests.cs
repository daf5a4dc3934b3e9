using System.Collections.Immutable;
using System.IO.Pipelines;
using Mgmt.Core;
using static Mgmt.TestHost.Tests.Hosts;

namespace Mgmt.TestHost.Tests;

public sealed class PoolTests
{
    private static readonly PoolName PoolP = PoolName.Parse("p");

    private static VolumeRecord Volume(string vid, string? source = null) => new()
    {
        Name = VolumeName.Root,
        Pool = PoolP,
        Vid = Vid.Parse(vid),
        SizeBytes = 8,
        Writable = true,
        SaveOnStop = source is null,
        SnapOnStart = source is not null,
        Source = source is null ? null : Vid.Parse(source),
    };

    private static Task<IStoragePool> Open(string faults = "", string driver = "qcow2", string key = "none", string value = "")
    {
        var host = With(TimeProvider.System, faults: faults);
        var record = new PoolRecord(PoolP, driver, VmRecord.Empty.Add(key, value));
        return host.Drivers.Single(d => d.Name == driver).OpenAsync(record, None);
    }

    private static PipeReader Data(int bytes) => PipeReader.Create(new MemoryStream(new byte[bytes]));

    [Test]
    public async Task A_pool_holds_the_volumes_of_the_document_and_those_made_since()
    {
        var pool = await Open();
        await pool.CreateAsync(Volume("a"), None);
        Assert.That(pool.Volumes.Select(vid => vid.Value), Is.EqualTo(new[] { "a", "vm/root" }));
        await Refused(ErrorCode.StoragePoolException, pool.CreateAsync(Volume("a"), None));
        await pool.RemoveAsync(Volume("a"), None);
        await pool.RemoveAsync(Volume("a"), None);
        await Refused(ErrorCode.QubesVolumeNotFoundError, pool.StartAsync(Volume("a"), None));
        await Refused(ErrorCode.QubesVolumeNotFoundError, pool.StartAsync(Volume("b", "a"), None));
    }

    [TestCase(7, "not enough data (copied 7 bytes, expected 8 bytes)")]
    [TestCase(9, "too much data (expected 8 bytes)")]
    public async Task An_import_of_the_wrong_size_changes_nothing(int bytes, string message)
    {
        var pool = await Open();
        var error = await Refused(ErrorCode.ProtocolError, pool.ImportAsync(Volume("vm/root"), Data(bytes), 8, null, None));
        Assert.That((error.Message, pool.UsageBytes(Vid.Parse("vm/root"))), Is.EqualTo((message, 0L)));
    }

    [Test]
    public async Task An_import_of_the_right_size_is_counted()
    {
        var pool = await Open(key: "size", value: "10");
        var volume = Volume("vm/root") with { RevisionsToKeep = 0 };
        await pool.ImportAsync(volume, Data(8), 8, null, None);
        await pool.ImportAsync(volume, Data(8), 8, null, None);
        Assert.That(pool.Usage, Is.EqualTo(new PoolUsage(10, 8)));
        await Refused(ErrorCode.MgmtNoSpaceError, pool.ImportAsync(Volume("other"), Data(8), 8, null, None));
    }

    [Test]
    public async Task A_volume_in_use_takes_no_import()
    {
        var pool = await Open();
        using (await pool.StartAsync(Volume("vm/root"), None))
        {
            await Refused(ErrorCode.StoragePoolException, pool.ImportAsync(Volume("vm/root"), Data(8), 8, null, None));
        }
        await pool.StopAsync(Volume("vm/root"), None);
        await pool.StopAsync(Volume("vm/root"), None);
        await pool.ImportAsync(Volume("vm/root"), Data(8), 8, null, None);
    }

    [Test]
    public async Task A_snapshot_is_outdated_once_its_source_has_run()
    {
        var pool = await Open();
        var snapshot = Volume("app", "vm/root");
        using var open = await pool.StartAsync(snapshot, None);
        Assert.That(pool.IsOutdated(snapshot), Is.False);
        using var source = await pool.StartAsync(Volume("vm/root"), None);
        await pool.StopAsync(Volume("vm/root"), None);
        Assert.That(pool.IsOutdated(snapshot), Is.True);
        await pool.StopAsync(snapshot, None);
        Assert.That(pool.IsOutdated(snapshot), Is.False);
    }

    [TestCase("create")]
    [TestCase("start")]
    [TestCase("stop")]
    [TestCase("import")]
    public async Task A_storage_fault_is_of_its_step_and_of_the_vm_it_was_given_to(string step)
    {
        var pool = await Open($"\"storage\": {{ \"{step}\": \"disk error\" }}");
        foreach (var (name, call) in Steps(pool, Volume("vm/root")).Where(s => s.Name == step || s.Name is "start" or "stop"))
        {
            if (name == step)
            {
                Assert.That((await Refused(ErrorCode.StoragePoolException, call())).Message, Is.EqualTo("disk error"));
            }
            else
            {
                await call();
            }
        }
        await Steps(pool, Volume("other")).Single(s => s.Name == step).Call();
    }

    [Test]
    public async Task Without_space_nothing_is_made_started_or_filled()
    {
        var pool = await Open("\"storage\": { \"no-space\": true }");
        foreach (var (_, call) in Steps(pool, Volume("vm/root")).Where(s => s.Name != "stop"))
        {
            await Refused(ErrorCode.MgmtNoSpaceError, call());
        }
    }

    [Test]
    public async Task A_kernels_pool_knows_the_kernels_of_its_configuration()
    {
        var pool = await Open(driver: "linux-kernel", key: "kernels", value: "6.6 6.1");
        Assert.That(pool.Volumes.Select(vid => vid.Value), Is.EqualTo(new[] { "6.1", "6.6" }));
        using (var kernel = pool.OpenKernel("6.6"))
        {
            Assert.That(kernel, Is.EqualTo(new BootImage("6.6", null, null)));
        }
        Assert.That(() => pool.OpenKernel("5.0"), Throws.TypeOf<MgmtException>().With.Property("Code").EqualTo(ErrorCode.QubesVolumeNotFoundError));
        await Refused(ErrorCode.QubesVolumeNotFoundError, pool.StartAsync(Volume("5.0"), None));
        (await pool.StartAsync(Volume("6.1"), None)).Dispose();
        Assert.That(async () => (await Open()).OpenKernel("6.1"), Throws.TypeOf<MgmtException>().With.Property("Code").EqualTo(ErrorCode.StoragePoolException));
        await Refused(ErrorCode.StoragePoolException, Open(driver: "linux-kernel", key: "kernels", value: "../x"));
    }

    private static ImmutableArray<(string Name, Func<Task> Call)> Steps(IStoragePool pool, VolumeRecord volume) =>
    [
        ("create", () => pool.CreateAsync(volume, None)),
        ("import", () => pool.ImportAsync(volume, Data(8), 8, null, None)),
        ("start", () => pool.StartAsync(volume, None)),
        ("stop", () => pool.StopAsync(volume, None)),
    ];
}
