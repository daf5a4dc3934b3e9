using System.Globalization;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>Clone, resize, export and runs, by what volumes hold after them, on each driver and file system.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[TestFixture("qcow2", "")]
[TestFixture("qcow2", "tmpfs")]
[TestFixture("qcow2", "btrfs")]
[TestFixture("file-reflink", "btrfs")]
[TestFixture("file-reflink", "xfs")]
public sealed class ContentTests(string driver, string fileSystem) : PoolFixture(driver, fileSystem)
{
    private const long Large = 10L << 30;
    private static readonly VolumeRecord Private = Volume("appvms/work/private", save: true);
    private static readonly VolumeRecord Other = Volume("appvms/other/private", save: true);

    [Test]
    public async Task A_clone_shares_what_it_is_made_of_and_then_goes_its_own_way()
    {
        // 200 MiB on a disk of 400: three more do not fit unless they share.
        var source = Private with { SizeBytes = Large };
        await Pool.CreateAsync(source, Token);
        await Filled(source, 1);
        using (var open = await Pool.StartAsync(source, Token))
        {
            await Write(open, 2, "9g 100m");
        }
        await Pool.StopAsync(source, Token);
        var clones = Enumerable.Range(0, 4).Select(n => Volume($"appvms/c{n}/private", save: true)).ToList();
        foreach (var clone in clones)
        {
            await Pool.CreateAsync(clone, Token);
            using var export = await Pool.ExportAsync(source, null, Token);
            var clock = System.Diagnostics.Stopwatch.StartNew();
            Assert.That(await Pool.CloneAsync(clone, export, null, Token), Is.EqualTo(Large));
            TestContext.Progress.WriteLine($"clone of 10 GiB: {clock.ElapsedMilliseconds} ms");
        }
        await Pool.RemoveAsync(source, Token);
        Assert.That(await Exports(clones[0], 1), Is.True);
        using (var last = await Pool.ExportAsync(clones[3], null, Token))
        {
            Assert.That(last.SizeBytes, Is.EqualTo(Large));
            Assert.That(await Reads(last, 2, "9g 100m"), Is.True);
        }
        await Pool.RemoveAsync(clones[3], Token);
        await Filled(clones[1], 7);
        Assert.That(await Exports(clones[0], 1) && await Exports(clones[1], 7) && await Exports(clones[2], 1), Is.True);
    }

    [Test]
    public async Task A_clone_into_a_pool_of_the_other_driver_is_copied_with_progress()
    {
        await Pool.CreateAsync(Private, Token);
        await Filled(Private, 5);
        using var elsewhere = new TemporaryPool(DriverName == "qcow2" ? "file-reflink" : "qcow2");
        await using var pool = await elsewhere.OpenAsync(Token);
        var copy = Other with { SizeBytes = 512 };
        await pool.CreateAsync(copy, Token);
        var progress = new Recorder();
        using (var export = await Pool.ExportAsync(Private, null, Token))
        {
            Assert.That(await pool.CloneAsync(copy, export, progress, Token), Is.EqualTo(Size));
        }
        Assert.That(progress.Last, Is.EqualTo(new CopyProgress(Size, Size)));
        using var back = await pool.ExportAsync(copy, null, Token);
        Assert.That(back.SizeBytes, Is.EqualTo(Size));
        await Pool.CreateAsync(Other, Token);
        await Pool.CloneAsync(Other, back, null, Token);
        Assert.That(await Exports(Other, 5), Is.True);
    }

    [Test]
    public async Task What_is_open_for_export_does_not_change([Values(0, 1, -1)] int keep)
    {
        var volume = Private with { RevisionsToKeep = keep };
        await Pool.CreateAsync(volume, Token);
        await Filled(volume, 1);
        using var open = await Pool.ExportAsync(volume, null, Token);
        await Filled(volume, 2);
        await Pool.ResizeAsync(volume, 2 * Size, inUse: false, Token);
        Assert.That(await Reads(open, 1), Is.True);
        Assert.That(open.SizeBytes, Is.EqualTo(Size));
        Assert.That(await Exports(volume, 2), Is.True);
        await Pool.RemoveAsync(volume, Token);
        Assert.That(await Reads(open, 1), Is.True);
    }

    [Test]
    public async Task A_volume_that_runs_is_exported_as_before_the_run_or_not_at_all()
    {
        await Pool.CreateAsync(Private, Token);
        await Filled(Private, 1);
        using (var run = await Pool.StartAsync(Private, Token))
        {
            await Write(run, 2);
            Assert.That(await Exports(Private, 1), Is.True);
        }
        await Pool.StopAsync(Private, Token);
        var direct = Private with { RevisionsToKeep = -1 };
        using (await Pool.StartAsync(direct, Token))
        {
            var refused = await Assert.ThrowsAsync<MgmtException>(() => Pool.ExportAsync(direct, null, Token));
            Assert.That(refused!.Code, Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(refused.Message, Does.Contain("must be stopped before importing its data"));
        }
        await Pool.StopAsync(direct, Token);
        Assert.That(await Exports(direct, 2), Is.True);
    }

    [Test]
    public async Task A_resize_keeps_the_content_and_changes_no_revision([Values(0, 2)] int keep)
    {
        var volume = Private with { RevisionsToKeep = keep };
        await Pool.CreateAsync(volume, Token);
        await Filled(volume, 1);
        var kept = await Pool.SnapshotAsync(volume, RevisionTraits.Of(RevisionCause.Snapshot), Token);
        foreach (var sizeBytes in (long[])[2 * Size, Size / 2, Size / 2, 3 * Size])
        {
            await Pool.ResizeAsync(volume, sizeBytes, inUse: false, Token);
            using var open = await Pool.ExportAsync(volume, null, Token);
            Assert.That(open.SizeBytes, Is.EqualTo(sizeBytes));
            Assert.That(await Reads(open, 1), Is.True);
        }
        Assert.That(Pool.Revisions(volume)[^1], Is.EqualTo(kept));
        Assert.That(await Pool.RevertAsync(volume, kept.Id, Token), Is.EqualTo(Size));
        Assert.That(await Exports(volume, 1), Is.True);
    }

    [Test]
    public async Task A_size_that_no_disk_has_is_refused([Values(0, -512, 513, long.MinValue)] long sizeBytes)
    {
        await Pool.CreateAsync(Private, Token);
        Assert.That(await CodeOf(() => Pool.ResizeAsync(Private, sizeBytes, inUse: false, Token)), Is.EqualTo(ErrorCode.QubesValueError));
    }

    [Test]
    public async Task A_template_that_is_resized_or_written_does_not_change_under_what_runs_on_it()
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 1);
        using (var app = await Pool.StartAsync(AppRoot(), Token))
        {
            await Pool.ResizeAsync(Template, 2 * Size, inUse: false, Token);
            Assert.That(Pool.IsOutdated(AppRoot()), Is.True);
            await Filled(Template, 2);
            await Pool.ClearAsync(Template, Token);
            Assert.That(await Reads(app, 1), Is.True);
            Assert.That(app.SizeBytes, Is.EqualTo(Size));
        }
        await Pool.StopAsync(AppRoot(), Token);
        Assert.That(Pool.IsOutdated(AppRoot()), Is.False);
    }

    [Test]
    public async Task A_disk_that_grew_while_it_ran_has_that_size_after_the_stop([Values(0, 1)] int keep)
    {
        var volume = Private with { RevisionsToKeep = keep };
        await Pool.CreateAsync(volume, Token);
        using (var run = await Pool.StartAsync(volume, Token))
        {
            await Pool.ResizeAsync(volume, 2 * Size, inUse: true, Token);
            Assert.That(await CodeOf(() => Pool.ResizeAsync(volume, Size / 2, inUse: true, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        // As the running QEMU does it.
        LoopFileSystem.Run("qemu-img", "resize", "-q", "-f", DriverName == "qcow2" ? "qcow2" : "raw",
            Path.Combine(PoolPath, "appvms/work/private.run" + Suffix), (2 * Size).ToString(CultureInfo.InvariantCulture));
        await Pool.StopAsync(volume, Token);
        using var open = await Pool.ExportAsync(volume, null, Token);
        Assert.That(open.SizeBytes, Is.EqualTo(2 * Size));
        var found = await Pool.CheckAsync([volume], new HashSet<Vid>(), mend: true, Token);
        Assert.That(found.Single(), Is.EqualTo(new PoolFinding("size", "appvms/work/private", $"the disk has {2 * Size} bytes, the record says {Size}", false) { SizeBytes = 2 * Size }));
    }

    [Test]
    public async Task A_read_only_volume_is_not_written_and_keeps_its_content_while_it_runs([Values] bool snapshot)
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 1);
        var volume = (snapshot ? AppRoot() : Template) with { Writable = false };
        using (var open = await Pool.StartAsync(volume, Token))
        {
            Assert.That(open.ReadOnly && open.Layers.All(layer => layer.ReadOnly), Is.True);
            Assert.That(await CodeOf(() => Pool.ResizeAsync(volume, 2 * Size, inUse: true, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            await Import(Template, Bytes(2));
            Assert.That(await Reads(open, 1), Is.True);
        }
        await Pool.StopAsync(volume, Token);
        Assert.That(Files(PoolPath), Is.EqualTo(new[] { "vm-templates/debian/root" + Suffix }));
    }

    [Test]
    public async Task Runs_of_each_kind_hold_what_they_must()
    {
        await Pool.CreateAsync(Template, Token);
        await Filled(Template, 1);
        var both = Volume("appvms/both/root", save: true, "vm-templates/debian/root", keep: 2);
        var scratch = Volume("appvms/work/volatile", save: false);
        foreach (var volume in (VolumeRecord[])[both, scratch, AppRoot()])
        {
            await Pool.CreateAsync(volume, Token);
            await Filled(volume, 2);
        }
        Assert.That(await Holds(scratch, 0), Is.True);
        Assert.That(await Holds(AppRoot(), 1), Is.True);
        Assert.That(await Exports(both, 2), Is.True);
        await Filled(both, 3);
        Assert.That(Pool.Revisions(both).Length, Is.EqualTo(1));
        Assert.That(await Exports(both, 2, Pool.Revisions(both)[0].Id), Is.True);
    }

    private sealed class Recorder : IProgress<CopyProgress>
    {
        internal CopyProgress Last { get; private set; }

        public void Report(CopyProgress value) => Last = value;
    }

    private sealed class TemporaryPool(string driver) : IDisposable
    {
        private readonly string _top = LoopFileSystem.NewDirectory(driver == "qcow2" ? "" : "btrfs");

        public void Dispose() => Directory.Delete(_top, recursive: true);

        internal Task<IStoragePool> OpenAsync(CancellationToken cancellation) =>
            NewDriver(driver, Path.Combine(_top, "pools"), "qemu-img", static _ => { }).OpenAsync(Record(), cancellation);
    }
}
