using System.IO.Pipelines;
using Mgmt.Core;
using Mgmt.Testing;
using static Mgmt.TestHost.Tests.Hosts;

namespace Mgmt.TestHost.Tests;

/// <summary>What a pool in memory keeps, goes back to, copies and checks.</summary>
public sealed class RevisionTests
{
    private static readonly PoolName PoolP = PoolName.Parse("p");
    private static readonly Vid Root = Vid.Parse("vm/root");
    private readonly ManualTime _time = new();

    private static VolumeRecord Volume(int? keep = 5, string vid = "vm/root", long sizeBytes = 1024) => new()
    {
        Name = VolumeName.Root,
        Pool = PoolP,
        Vid = Vid.Parse(vid),
        SizeBytes = sizeBytes,
        Writable = true,
        SaveOnStop = true,
        SnapOnStart = false,
        RevisionsToKeep = keep,
    };

    private static RevisionTraits Asked(string? name = null, bool pinned = false) => new(name, pinned, RevisionCause.Snapshot, Quiesced.Yes);

    private static string[] Ids(IStoragePool pool) => [.. pool.Revisions(Volume()).Select(revision => revision.Id.Value)];

    private static RevisionCause[] Causes(IStoragePool pool) => [.. pool.Revisions(Volume()).Select(revision => revision.Traits.Cause)];

    private static Task ImportAsync(IStoragePool pool, VolumeRecord volume, int bytes) =>
        pool.ImportAsync(volume, PipeReader.Create(new MemoryStream(new byte[bytes])), bytes, null, None);

    private Task<IStoragePool> Open(string faults = "", string delays = "", string key = "revisions_to_keep", string value = "1") =>
        With(_time, delays, faults).Drivers.Single(d => d.Name == "qcow2").OpenAsync(new PoolRecord(PoolP, "qcow2", VmRecord.Empty.Add(key, value)), None);

    private static async Task RunAsync(IStoragePool pool, VolumeRecord volume)
    {
        using (await pool.StartAsync(volume, None))
        {
            await pool.StopAsync(volume, None);
        }
    }

    [TestCase(2, 2)]
    [TestCase(0, 0)]
    [TestCase(-1, 0)]
    [TestCase(null, 1)]
    public async Task A_stop_keeps_what_was_before_the_run_and_as_many_as_asked_for(int? keep, int kept)
    {
        var pool = await Open();
        for (var run = 0; run < 3; run++)
        {
            await RunAsync(pool, Volume(keep));
        }
        Assert.That(Causes(pool), Is.EqualTo(Enumerable.Repeat(RevisionCause.Stop, kept)));
        Assert.That(Ids(pool), Is.EqualTo(new[] { "2", "3" }.TakeLast(kept)));
    }

    [Test]
    public async Task A_pool_that_is_configured_anew_keeps_as_many_as_it_says_then()
    {
        var pool = await Open();
        pool.Reconfigure(pool.Record with { Config = pool.Record.Config.SetItem("revisions_to_keep", "2") });
        await RunAsync(pool, Volume(null));
        await RunAsync(pool, Volume(null));
        Assert.That(Ids(pool), Is.EqualTo(new[] { "1", "2" }));
        Assert.That(() => pool.Reconfigure(pool.Record with { Config = pool.Record.Config.SetItem("revisions_to_keep", "-2") }), Throws.TypeOf<MgmtException>());
    }

    [Test]
    public async Task A_pinned_revision_is_neither_counted_nor_pruned_and_goes_by_force_only()
    {
        var pool = await Open();
        var pinned = await pool.SnapshotAsync(Volume(1), Asked("before", pinned: true), None);
        await pool.SnapshotAsync(Volume(1), Asked(), None);
        await pool.SnapshotAsync(Volume(1), Asked(), None);
        Assert.That(Ids(pool), Is.EqualTo(new[] { "1", "3" }));
        Assert.That(pinned.Traits.Name, Is.EqualTo("before"));
        await Refused(ErrorCode.StoragePoolException, pool.RemoveRevisionAsync(Volume(), pinned.Id, false, None));
        await pool.RemoveRevisionAsync(Volume(), pinned.Id, true, None);
        await Refused(ErrorCode.QubesVolumeRevisionNotFoundError, pool.RemoveRevisionAsync(Volume(), pinned.Id, true, None));
        await pool.RemoveRevisionAsync(Volume(), RevisionId.Parse("3"), false, None);
        Assert.That((await pool.SnapshotAsync(Volume(1), Asked(), None)).Id.Value, Is.EqualTo("4"), "an id is not given out twice");
    }

    [Test]
    public async Task Asked_for_snapshots_are_not_pruned_where_nothing_is_kept_by_itself()
    {
        var pool = await Open();
        await pool.SnapshotAsync(Volume(0), Asked(), None);
        await pool.SnapshotAsync(Volume(0), Asked(), None);
        await RunAsync(pool, Volume(0));
        Assert.That(Ids(pool), Is.EqualTo(new[] { "1", "2" }));
    }

    [Test]
    public async Task A_revert_brings_back_content_and_size_and_keeps_what_it_replaces()
    {
        var pool = await Open();
        await ImportAsync(pool, Volume(), 1024);
        var before = await pool.SnapshotAsync(Volume(), Asked(), None);
        await pool.ResizeAsync(Volume(), 2048, false, None);
        await ImportAsync(pool, Volume(sizeBytes: 2048), 2048);
        Assert.That(await pool.RevertAsync(Volume(sizeBytes: 2048), before.Id, None), Is.EqualTo(1024));
        Assert.That(pool.UsageBytes(Root), Is.EqualTo(1024));
        Assert.That(Causes(pool)[^1], Is.EqualTo(RevisionCause.Revert));
        Assert.That(await pool.RevertAsync(Volume(), null, None), Is.EqualTo(2048), "the newest is what was replaced");
        await Refused(ErrorCode.QubesVolumeRevisionNotFoundError, pool.RevertAsync(Volume(), RevisionId.Parse("99"), None));
    }

    [Test]
    public async Task A_running_volume_is_snapshotted_through_a_file_and_nothing_else_changes_it()
    {
        var pool = await Open();
        using var open = await pool.StartAsync(Volume(), None);
        await pool.ResizeAsync(Volume(), 4096, true, None);
        await using (var dropped = await pool.OpenSnapshotTargetAsync(Volume(), None))
        {
            Assert.That(dropped.Image.File.IsInvalid, Is.False);
        }
        Assert.That(Ids(pool), Is.Empty);
        await using (var target = await pool.OpenSnapshotTargetAsync(Volume(), None))
        {
            var revision = await target.CompleteAsync(Asked() with { Quiesced = Quiesced.TimedOut }, None);
            Assert.That((revision.SizeBytes, revision.Traits.Quiesced), Is.EqualTo((4096L, Quiesced.TimedOut)));
        }
        await Refused(ErrorCode.StoragePoolException, pool.ResizeAsync(Volume(), 512, true, None));
        foreach (var refused in new Func<Task>[]
        {
            () => pool.SnapshotAsync(Volume(), Asked(), None), () => pool.RevertAsync(Volume(), null, None), () => pool.ClearAsync(Volume(), None),
            () => pool.ResizeAsync(Volume(), 512, false, None), () => pool.CloneAsync(Volume(), open, null, None),
        })
        {
            await Refused(ErrorCode.StoragePoolException, refused());
        }
        await pool.StopAsync(Volume(), None);
        Assert.That((await pool.SnapshotAsync(Volume(), Asked(), None)).SizeBytes, Is.EqualTo(4096), "the stop keeps what the run's disk grew to");
    }

    [Test]
    public async Task An_export_does_not_change_and_a_clone_of_it_takes_no_space()
    {
        var pool = await Open(key: "size", value: "1024");
        var other = Volume(vid: "other", sizeBytes: 512);
        await pool.CreateAsync(other, None);
        await ImportAsync(pool, Volume(), 1024);
        using var export = await pool.ExportAsync(Volume(), null, None);
        await pool.ClearAsync(Volume(), None);
        Assert.That(await pool.CloneAsync(other, export, null, None), Is.EqualTo(1024));
        Assert.That((pool.UsageBytes(other.Vid!.Value), pool.UsageBytes(Root), pool.Usage.UsedBytes), Is.EqualTo((1024L, 0L, 1024L)));
        await Refused(ErrorCode.QubesVolumeRevisionNotFoundError, pool.ExportAsync(Volume(), RevisionId.Parse("99"), None));
        await Refused(ErrorCode.MgmtNoSpaceError, ImportAsync(pool, Volume(), 1));
    }

    [TestCase(-1, true)]
    [TestCase(1, false)]
    public async Task A_volume_that_runs_on_itself_is_not_exported(int keep, bool refused)
    {
        var pool = await Open();
        using var open = await pool.StartAsync(Volume(keep), None);
        var snapshot = Volume(vid: "app") with { SaveOnStop = false, SnapOnStart = true, Source = Root };
        if (refused)
        {
            var error = await Refused(ErrorCode.StoragePoolException, pool.ExportAsync(Volume(keep), null, None));
            Assert.That(error.Message, Is.EqualTo("Volume vm/root must be stopped before importing its data"));
            await Refused(ErrorCode.StoragePoolException, pool.StartAsync(snapshot, None));
            return;
        }
        (await pool.ExportAsync(Volume(keep), null, None)).Dispose();
        (await pool.StartAsync(snapshot, None)).Dispose();
    }

    [Test]
    public async Task Work_takes_its_time_and_a_clone_tells_how_far_it_is()
    {
        var pool = await Open(delays: "\"storage\": 100");
        using var export = await pool.ExportAsync(Volume(), null, None);
        var told = new List<CopyProgress>();
        var clone = pool.CloneAsync(Volume(), export, new Told(told), None);
        for (var step = 0; step < 10; step++)
        {
            Assert.That((clone.IsCompleted, told[^1].DoneBytes), Is.EqualTo((false, 8L * step / 10)));
            _time.Advance(10);
        }
        Assert.That((await clone, told[^1]), Is.EqualTo((8L, new CopyProgress(8, 8))));
    }

    [TestCase("snapshot")]
    [TestCase("revert")]
    [TestCase("resize")]
    [TestCase("clone")]
    [TestCase("clear")]
    [TestCase("export")]
    [TestCase("remove-revision")]
    public async Task A_storage_fault_changes_nothing(string step)
    {
        foreach (var (fault, code) in new[] { ($"\"{step}\": \"disk error\"", ErrorCode.StoragePoolException), ("\"no-space\": true", ErrorCode.MgmtNoSpaceError) })
        {
            var pool = await Open($"\"storage\": {{ {fault} }}");
            using var source = await pool.ExportAsync(Volume(vid: "other"), null, None);
            Func<Task> call = step switch
            {
                "snapshot" => () => pool.SnapshotAsync(Volume(), Asked(), None),
                "revert" => () => pool.RevertAsync(Volume(), null, None),
                "resize" => () => pool.ResizeAsync(Volume(), 512, false, None),
                "clone" => () => pool.CloneAsync(Volume(), source, null, None),
                "clear" => () => pool.ClearAsync(Volume(), None),
                "export" => () => pool.ExportAsync(Volume(), null, None),
                _ => () => pool.RemoveRevisionAsync(Volume(), RevisionId.Parse("1"), true, None),
            };
            if (code == ErrorCode.MgmtNoSpaceError && step is "export" or "remove-revision")
            {
                continue;
            }
            await Refused(code, call());
            Assert.That((Ids(pool).Length, pool.UsageBytes(Root)), Is.EqualTo((0, 0L)));
        }
    }

    [Test]
    public async Task A_check_tells_what_is_not_as_recorded_and_mends_a_run_that_is_over()
    {
        var pool = await Open();
        await pool.CreateAsync(Volume(vid: "ours"), None);
        await pool.CreateAsync(Volume(vid: "gone"), None);
        await pool.RemoveAsync(Volume(vid: "gone"), None);
        await pool.StartAsync(Volume(vid: "ours"), None);
        VolumeRecord[] known = [Volume(vid: "ours", sizeBytes: 512), Volume(vid: "gone")];
        Assert.That(Kinds(await pool.CheckAsync(known, new HashSet<Vid> { Vid.Parse("ours") }, true, None)), Is.EqualTo(new[] { "missing gone no", "unknown vm/root no" }));
        Assert.That(Kinds(await pool.CheckAsync(known, new HashSet<Vid>(), true, None)),
            Is.EqualTo(new[] { "missing gone no", "unclean ours yes", "size ours no", "unknown vm/root no" }));
        var findings = await pool.CheckAsync(known, new HashSet<Vid>(), true, None);
        Assert.That(findings.Single(finding => finding.Kind == "size").SizeBytes, Is.EqualTo(1024));
        Assert.That(Kinds(findings), Has.No.Member("unclean ours yes"));
        Assert.That(pool.Volumes, Has.Member(Root), "nothing is deleted that no record names");
    }

    [Test]
    public async Task A_volume_that_keeps_nothing_has_no_revisions()
    {
        var pool = await Open();
        var scratch = Volume() with { SaveOnStop = false };
        await Refused(ErrorCode.StoragePoolException, pool.SnapshotAsync(scratch, Asked(), None));
        await RunAsync(pool, scratch);
        Assert.That(pool.Revisions(scratch), Is.Empty);
        await Refused(ErrorCode.QubesValueError, pool.ResizeAsync(Volume(), 511, false, None));
        await Refused(ErrorCode.StoragePoolException, pool.ResizeAsync(Volume() with { Writable = false }, 512, false, None));
    }

    private static string[] Kinds(IEnumerable<PoolFinding> findings) => [.. findings.Select(finding => $"{finding.Kind} {finding.What} {(finding.Mended ? "yes" : "no")}")];

    private sealed class Told(List<CopyProgress> told) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value) => told.Add(value);
    }
}
