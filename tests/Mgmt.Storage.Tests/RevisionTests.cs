using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>Revisions, by what they hold, on each driver and file system.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[TestFixture("qcow2", "")]
[TestFixture("qcow2", "tmpfs")]
[TestFixture("qcow2", "btrfs")]
[TestFixture("qcow2", "xfs")]
[TestFixture("file-reflink", "btrfs")]
[TestFixture("file-reflink", "xfs")]
public sealed class RevisionTests(string driver, string fileSystem) : PoolFixture(driver, fileSystem)
{
    private static readonly RevisionTraits Plain = RevisionTraits.Of(RevisionCause.Snapshot);

    [TestCase(0, new byte[] { })]
    [TestCase(1, new byte[] { 3 })]
    [TestCase(3, new byte[] { 1, 2, 3 })]
    [TestCase(-1, new byte[] { })]
    public async Task A_stop_keeps_what_the_runs_before_left_as_many_as_asked(int keep, byte[] kept)
    {
        var volume = await Created(keep);
        for (byte run = 1; run <= 4; run++)
        {
            await Filled(volume, run);
        }
        Assert.That(await Holding(volume), Is.EqualTo(kept));
        Assert.That(Pool.Revisions(volume).Select(revision => revision.Traits), Is.All.EqualTo(RevisionTraits.Of(RevisionCause.Stop)));
        Assert.That(await Exports(volume, 4), Is.True);
        await Reopen();
        Assert.That(await Holding(volume), Is.EqualTo(kept), "after a restart");
        await NothingToCheck(volume);
    }

    [Test]
    public async Task Pinned_revisions_are_not_pruned_and_do_not_count()
    {
        var volume = await Created(2);
        await Filled(volume, 1);
        var pinned = await Pool.SnapshotAsync(volume, new("before the update", true, RevisionCause.Snapshot, Quiesced.Yes), Token);
        for (byte run = 2; run <= 5; run++)
        {
            await Filled(volume, run);
        }
        Assert.That(await Holding(volume), Is.EqualTo(new byte[] { 1, 3, 4 }));
        Assert.That(Pool.Revisions(volume)[0], Is.EqualTo(pinned));
        await Reopen();
        Assert.That(Pool.Revisions(volume)[0], Is.EqualTo(pinned), "its name, times and traits are on the disk");
        Assert.That(await CodeOf(() => Pool.RemoveRevisionAsync(volume, pinned.Id, force: false, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        await Pool.RemoveRevisionAsync(volume, pinned.Id, force: true, Token);
        Assert.That(await Holding(volume), Is.EqualTo(new byte[] { 3, 4 }));
        Assert.That(await CodeOf(() => Pool.RemoveRevisionAsync(volume, pinned.Id, force: true, Token)), Is.EqualTo(ErrorCode.QubesVolumeRevisionNotFoundError));
    }

    [Test]
    public async Task Explicit_snapshots_stay_where_nothing_is_kept_by_itself([Values(0, -1)] int keep)
    {
        var volume = await Created(keep);
        for (byte run = 1; run <= 3; run++)
        {
            await Filled(volume, run);
            await Pool.SnapshotAsync(volume, Plain, Token);
        }
        await Filled(volume, 4);
        Assert.That(await Holding(volume), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(await Exports(volume, 4), Is.True);
        await NothingToCheck(volume);
    }

    [Test]
    public async Task A_revert_brings_back_what_was_and_keeps_what_it_replaces([Values(0, 1, 3)] int keep)
    {
        var volume = await Created(keep);
        await Filled(volume, 1);
        var first = await Pool.SnapshotAsync(volume, Plain, Token);
        await Filled(volume, 2);
        // With one kept, the stop's is the newest, and holds the same.
        Assert.That(await Pool.RevertAsync(volume, keep == 1 ? null : first.Id, Token), Is.EqualTo(Size));
        Assert.That(await Exports(volume, 1), Is.True);
        Assert.That(Pool.Revisions(volume)[^1].Traits.Cause, Is.EqualTo(RevisionCause.Revert));
        Assert.That((await Holding(volume))[^1], Is.EqualTo(2));
        await Filled(volume, 3);
        Assert.That((await Holding(volume)).Take(1), Is.EqualTo(new byte[] { 1 }), "writing after a revert does not touch the revision");
        await Pool.RevertAsync(volume, Pool.Revisions(volume)[^1].Id, Token);
        Assert.That(await Exports(volume, keep == 0 ? (byte)2 : (byte)1), Is.True);
        await NothingToCheck(volume);
    }

    [Test]
    public async Task Reverting_to_what_a_volume_holds_changes_nothing_it_holds()
    {
        var volume = await Created(2);
        await Filled(volume, 1);
        var same = await Pool.SnapshotAsync(volume, Plain, Token);
        await Pool.RevertAsync(volume, same.Id, Token);
        Assert.That(await Exports(volume, 1), Is.True);
        await NothingToCheck(volume);
    }

    [Test]
    public async Task Ids_are_not_given_out_again_while_the_volume_is_there()
    {
        var volume = await Created(0);
        var first = await Pool.SnapshotAsync(volume, Plain, Token);
        var second = await Pool.SnapshotAsync(volume, Plain, Token);
        await Pool.RemoveRevisionAsync(volume, second.Id, force: false, Token);
        await Pool.RemoveRevisionAsync(volume, first.Id, force: false, Token);
        await Reopen();
        Assert.That((await Pool.SnapshotAsync(volume, Plain, Token)).Id.Value, Is.EqualTo("3"));
        await NothingToCheck(volume);
        await Pool.RemoveRevisionAsync(volume, RevisionId.Parse("3"), force: false, Token);
        await Pool.RemoveAsync(volume, Token);
        Assert.That(Directory.EnumerateFileSystemEntries(PoolPath), Is.Empty);
    }

    [Test]
    public async Task A_running_vms_copy_becomes_a_revision_when_it_is_complete()
    {
        var volume = await Created(3);
        await Filled(volume, 1);
        using (await Pool.StartAsync(volume, Token))
        {
            await using (var given = await Pool.OpenSnapshotTargetAsync(volume, Token))
            {
                Assert.That(given.Image.ReadOnly, Is.False);
            }
            await using var target = await Pool.OpenSnapshotTargetAsync(volume, Token);
            using (var image = new OpenVolume(volume.Name, false, Size, [target.Image]))
            {
                await Write(image, 9);
                var made = await target.CompleteAsync(new("live", true, RevisionCause.Snapshot, Quiesced.TimedOut), Token);
                Assert.That(made, Is.EqualTo(Pool.Revisions(volume)[^1]));
                Assert.That(made.Traits, Is.EqualTo(new RevisionTraits("live", true, RevisionCause.Snapshot, Quiesced.TimedOut)));
                Assert.That(made.SizeBytes, Is.EqualTo(Size));
            }
        }
        await Pool.StopAsync(volume, Token);
        Assert.That(await Holding(volume), Is.EqualTo(new byte[] { 0, 9, 1 }));
        await NothingToCheck(volume);
    }

    [Test]
    public async Task A_volume_in_use_or_one_that_keeps_nothing_has_no_snapshot_or_revert()
    {
        var volume = await Created(1);
        await Filled(volume, 1);
        using (await Pool.StartAsync(volume, Token))
        {
            Assert.That(await CodeOf(() => Pool.SnapshotAsync(volume, Plain, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
            Assert.That(await CodeOf(() => Pool.RevertAsync(volume, null, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        await Pool.StopAsync(volume, Token);
        var root = AppRoot();
        Assert.That(await CodeOf(() => Pool.SnapshotAsync(root, Plain, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.OpenSnapshotTargetAsync(root, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.RevertAsync(volume, RevisionId.Parse("77"), Token)), Is.EqualTo(ErrorCode.QubesVolumeRevisionNotFoundError));
    }

    [Test]
    public async Task Import_clone_and_clear_keep_what_they_replace()
    {
        var volume = await Created(9);
        var other = Volume("appvms/other/private", save: true, keep: 9);
        await Pool.CreateAsync(other, Token);
        await Filled(other, 7);
        await Import(volume, Bytes(1));
        using (var source = await Pool.ExportAsync(other, null, Token))
        {
            Assert.That(await Pool.CloneAsync(volume, source, null, Token), Is.EqualTo(Size));
        }
        Assert.That(await Exports(volume, 7), Is.True);
        await Pool.ClearAsync(volume, Token);
        Assert.That(await Exports(volume, 0), Is.True);
        Assert.That(await Holding(volume), Is.EqualTo(new byte[] { 0, 1, 7 }));
        Assert.That(Pool.Revisions(volume).Select(revision => revision.Traits.Cause), Is.All.EqualTo(RevisionCause.Import));
        await NothingToCheck(volume, other);
    }

    private async Task<VolumeRecord> Created(int keep)
    {
        var volume = Volume("appvms/work/private", save: true, keep: keep);
        await Pool.CreateAsync(volume, Token);
        return volume;
    }

    /// <summary>The patterns that a volume's revisions begin with, oldest first.</summary>
    private async Task<byte[]> Holding(VolumeRecord volume)
    {
        var held = new List<byte>();
        foreach (var revision in Pool.Revisions(volume))
        {
            byte pattern = 0;
            while (!await Exports(volume, pattern, revision.Id))
            {
                Assert.That(pattern, Is.LessThan(10));
                pattern++;
            }
            held.Add(pattern);
        }
        return [.. held];
    }

    private async Task NothingToCheck(params VolumeRecord[] known) =>
        Assert.That(await Pool.CheckAsync(known, new HashSet<Vid>(), mend: false, Token), Is.Empty);
}
