using Mgmt.Core;

namespace Mgmt.Storage.Tests;

/// <summary>Revisions, content and sizes of thin volumes.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LvmRevisionTests : LvmFixture
{
    [SetUp]
    public async Task Fill()
    {
        await Pool.CreateAsync(Private, Token);
        await Run(Private with { RevisionsToKeep = 0 }, 'a');
    }

    [Test]
    public async Task What_is_known_of_a_revision_survives_the_daemon([Values] RevisionCause cause, [Values] Quiesced quiesced)
    {
        var traits = new RevisionTraits("vor dem Umbau ü, =", true, cause, quiesced);
        var made = await Pool.SnapshotAsync(Private, traits, Token);
        await Reopen();
        Assert.That(Pool.Revisions(Private), Is.EqualTo(new[] { made }));
        Assert.That((made.Traits, made.SizeBytes, made.Id.Value), Is.EqualTo((traits, Size, "1")));
    }

    [Test]
    public async Task The_oldest_revisions_go_and_pinned_ones_stay()
    {
        var volume = Private with { RevisionsToKeep = 2 };
        await Pool.SnapshotAsync(volume, RevisionTraits.Of(RevisionCause.Snapshot) with { Pinned = true }, Token);
        for (var i = 0; i < 3; i++)
        {
            await Pool.SnapshotAsync(volume, RevisionTraits.Of(RevisionCause.Snapshot), Token);
        }
        Assert.That(Ids(volume), Is.EqualTo(new[] { "1", "3", "4" }));
        Assert.That(await CodeOf(() => Pool.RemoveRevisionAsync(volume, RevisionId.Parse("1"), false, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        await Pool.RemoveRevisionAsync(volume, RevisionId.Parse("1"), true, Token);
        await Pool.RemoveRevisionAsync(volume, RevisionId.Parse("3"), false, Token);
        Assert.That(await CodeOf(() => Pool.RemoveRevisionAsync(volume, RevisionId.Parse("3"), true, Token)), Is.EqualTo(ErrorCode.QubesVolumeRevisionNotFoundError));
        Assert.That(Ids(volume), Is.EqualTo(new[] { "4" }));
    }

    [Test]
    public async Task The_id_of_a_removed_revision_is_not_given_out_again([Values(0, 1)] int keep)
    {
        var volume = Private with { RevisionsToKeep = keep };
        var made = await Pool.SnapshotAsync(volume, RevisionTraits.Of(RevisionCause.Snapshot), Token);
        await Pool.RemoveRevisionAsync(volume, made.Id, false, Token);
        await Run(volume, 'b');
        await Reopen();
        Assert.That((await Pool.SnapshotAsync(volume, RevisionTraits.Of(RevisionCause.Snapshot), Token)).Id.Value, Is.EqualTo($"{2 + keep}"));
    }

    [Test]
    public async Task More_than_nine_revisions_are_in_order()
    {
        Pool.Reconfigure(Record(("revisions_to_keep", "20")));
        for (var i = 0; i < 11; i++)
        {
            await Pool.SnapshotAsync(Private, RevisionTraits.Of(RevisionCause.Snapshot), Token);
        }
        Assert.That(Ids(Private).Last(), Is.EqualTo("11"));
    }

    [Test]
    public async Task Revert_keeps_what_it_replaces()
    {
        await Run(Private, 'b');
        Assert.That(await CodeOf(() => Pool.RevertAsync(Private, RevisionId.Parse("9"), Token)), Is.EqualTo(ErrorCode.QubesVolumeRevisionNotFoundError));
        Assert.That(await Pool.RevertAsync(Private, null, Token), Is.EqualTo(Size));
        Assert.That(await Holds(Private), Is.EqualTo('a'));
        Assert.That(Pool.Revisions(Private).Select(revision => (revision.Id.Value, revision.Traits.Cause)), Is.EqualTo(new[] { ("2", RevisionCause.Revert) }));
        Assert.That(await Holds(Private, RevisionId.Parse("2")), Is.EqualTo('b'));
        Assert.That(await CodeOf(() => Pool.RevertAsync(Volume("appvms/none/private"), null, Token)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError));
    }

    [Test]
    public async Task A_volume_that_runs_is_left_alone()
    {
        using var open = await Pool.StartAsync(Private, Token);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(await CodeOf(() => Pool.RevertAsync(Private, null, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.SnapshotAsync(Private, RevisionTraits.Of(RevisionCause.Snapshot), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Import(Private, 'x')), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.ClearAsync(Private, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.ResizeAsync(Private, 2 * Size, false, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        Assert.That(await Holds(Private), Is.EqualTo('a'), "what it held before that run can be read");
    }

    [Test]
    public async Task A_snapshot_of_a_running_volume_is_complete_or_not_there()
    {
        using var open = await Pool.StartAsync(Private, Token);
        await using (var target = await Pool.OpenSnapshotTargetAsync(Private, Token))
        {
            RandomAccess.Write(target.Image.File, "s"u8, 0);
            Assert.That(target.Image.Format, Is.EqualTo("raw"));
            Assert.That(await CodeOf(() => Pool.OpenSnapshotTargetAsync(Private, Token)), Is.EqualTo(ErrorCode.StoragePoolException), "one at a time");
            Assert.That((await target.CompleteAsync(RevisionTraits.Of(RevisionCause.Snapshot), Token)).Id.Value, Is.EqualTo("1"));
        }
        Assert.That(await Holds(Private, RevisionId.Parse("1")), Is.EqualTo('s'));
        await (await Pool.OpenSnapshotTargetAsync(Private, Token)).DisposeAsync();
        Assert.That(Lvm.Names, Has.None.EndsWith("-tmp"));
        Assert.That(Ids(Private), Is.EqualTo(new[] { "1" }));
    }

    [Test]
    public async Task Import_takes_exactly_what_was_announced()
    {
        Assert.That(await CodeOf(() => Import(Private, 'x', Size - 512, Size)), Is.EqualTo(ErrorCode.ProtocolError));
        Assert.That(await CodeOf(() => Import(Private, 'x', Size + 512, Size)), Is.EqualTo(ErrorCode.ProtocolError));
        Assert.That(await CodeOf(() => Import(Private, 'x', 511)), Is.EqualTo(ErrorCode.QubesValueError));
        Assert.That((await Holds(Private), Lvm.Names.Length), Is.EqualTo(('a', 1)));
        await Import(Private, 'i');
        Assert.That((await Holds(Private), await Holds(Private, RevisionId.Parse("1"))), Is.EqualTo(('i', 'a')));
        Assert.That(Pool.Revisions(Private).Single().Traits.Cause, Is.EqualTo(RevisionCause.Import));
        await Pool.ClearAsync(Private, Token);
        Assert.That(await Holds(Private), Is.EqualTo('\0'));
    }

    [Test]
    public async Task A_clone_within_the_pool_is_one_snapshot_also_when_the_source_is_renamed_meanwhile()
    {
        var copy = Volume("appvms/copy/private", keep: 0);
        await Pool.CreateAsync(copy, Token);
        using var export = await Pool.ExportAsync(Private, null, Token);
        await Run(Private, 'b');
        Lvm.Lines.Clear();
        Assert.That(await Pool.CloneAsync(copy, export, null, Token), Is.EqualTo(Size));
        Assert.That(Lvm.Changes.First(), Does.EndWith("--addtag mgmt vg0/appvms+work+private-rev1"));
        Assert.That(await Holds(copy), Is.EqualTo('a'));
    }

    [Test]
    public async Task A_clone_of_another_pools_volume_is_copied([Values("raw", "qcow2")] string format)
    {
        var (raw, image) = (Path.Combine(Lvm.Devices, "raw"), Path.Combine(Lvm.Devices, "image"));
        File.WriteAllText(raw, "q" + new string('\0', 511));
        Assert.That((await Lvm.RunAsync("qemu-img", ["convert", "-O", format, raw, image], TimeSpan.FromSeconds(10), Token)).Status, Is.Zero);
        using var source = new OpenVolume(VolumeName.Private, true, format == "raw" ? new FileInfo(image).Length : 512, [new ImageLayer(File.OpenHandle(image), format, true)]);
        var seen = new List<CopyProgress>();
        Assert.That(await Pool.CloneAsync(Private, source, new Seen(seen), Token), Is.EqualTo(4 << 20), "whole extents");
        Assert.That(await Holds(Private), Is.EqualTo('q'));
        Assert.That(seen.Last(), Is.EqualTo(new CopyProgress(source.SizeBytes, source.SizeBytes)));
    }

    [Test]
    public async Task Sizes_are_whole_extents_and_shrinking_needs_a_stopped_volume()
    {
        await Pool.ResizeAsync(Private, Size + 512, false, Token);
        Assert.That(Lvm.Lines, Does.Contain("lvextend --yes --size 12582912b vg0/appvms+work+private"));
        await Pool.ResizeAsync(Private, Size + 1024, false, Token);
        await Pool.ResizeAsync(Private, Size, false, Token);
        Assert.That(Lvm.Lines, Does.Contain("lvreduce --yes --force --size 8388608b vg0/appvms+work+private"));
        using (await Pool.StartAsync(Private, Token))
        {
            Assert.That(await CodeOf(() => Pool.ResizeAsync(Private, 4 << 20, true, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            await Pool.ResizeAsync(Private, 2 * Size, true, Token);
        }
        await Pool.StopAsync(Private, Token);
        using var export = await Pool.ExportAsync(Private, null, Token);
        Assert.That(export.SizeBytes, Is.EqualTo(2 * Size));
        Assert.That(await CodeOf(() => Pool.ResizeAsync(Private, 0, false, Token)), Is.EqualTo(ErrorCode.QubesValueError));
    }

    [Test]
    public async Task What_is_being_read_goes_later()
    {
        Lvm.InUse.Add("appvms+work+private-old");
        await Run(Private with { RevisionsToKeep = 0 }, 'b');
        Assert.That(await Holds(Private), Is.EqualTo('b'));
        Assert.That(Lvm.Names, Does.Contain("appvms+work+private-old"));
        Lvm.InUse.Clear();
        var findings = await Pool.CheckAsync([Private], new HashSet<Vid>(), true, Token);
        Assert.That(findings.Select(finding => (finding.Kind, finding.Mended)), Is.EqualTo(new[] { ("leftover", true) }));
        Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+work+private" }));
    }

    private sealed class Seen(List<CopyProgress> seen) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value) => seen.Add(value);
    }
}
