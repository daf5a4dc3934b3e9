using Mgmt.Core;

namespace Mgmt.Storage.Tests;

/// <summary>Runs of thin volumes.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LvmRunTests : LvmFixture
{
    [Test]
    public async Task A_run_is_saved_and_what_was_before_it_becomes_a_revision()
    {
        await Pool.CreateAsync(Private, Token);
        await Run(Private, 'a');
        await Run(Private, 'b');
        Assert.That(await Holds(Private), Is.EqualTo('b'));
        Assert.That(Ids(Private), Is.EqualTo(new[] { "2" }), "one is kept, ids go on");
        Assert.That(await Holds(Private, RevisionId.Parse("2")), Is.EqualTo('a'));
        Assert.That(Pool.Revisions(Private).Single().Traits, Is.EqualTo(RevisionTraits.Of(RevisionCause.Stop)));
        Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+work+private", "appvms+work+private-rev2" }));
    }

    [Test]
    public async Task A_run_takes_these_commands()
    {
        await Pool.CreateAsync(Private, Token);
        using (await Pool.StartAsync(Private, Token))
        {
            Assert.That(Lvm.Changes, Is.EqualTo(new[]
            {
                "lvcreate --yes --type thin --virtualsize 8388608b --thinpool pool00 --name appvms+work+private --setactivationskip n --addtag mgmt vg0",
                "lvcreate --yes --snapshot --name appvms+work+private-snap --setactivationskip n --permission rw --addtag mgmt --addtag mgmt:base=UUID-1 vg0/appvms+work+private",
            }));
        }
        Lvm.Lines.Clear();
        await Pool.StopAsync(Private with { RevisionsToKeep = 0 }, Token);
        Assert.That(Lvm.Changes, Is.EqualTo(new[]
        {
            "lvchange --yes --addtag mgmt:commit=none vg0/appvms+work+private-snap",
            "lvrename --yes vg0 appvms+work+private appvms+work+private-old",
            "lvrename --yes vg0 appvms+work+private-snap appvms+work+private",
            "lvremove --yes --force vg0/appvms+work+private-old",
        }));
    }

    [Test]
    public async Task Reads_are_from_memory()
    {
        await Pool.CreateAsync(Private, Token);
        Lvm.Lines.Clear();
        Assert.That(Pool.UsageBytes(Private.Vid!.Value), Is.EqualTo(Size / 4));
        Assert.That(Pool.Usage, Is.EqualTo(new PoolUsage(1L << 30, 1L << 28) { MetadataSizeBytes = 4 << 20, MetadataUsedBytes = 512 << 10 }));
        Assert.That((Pool.Volumes.Length, Pool.Revisions(Private).Length), Is.EqualTo((1, 0)));
        Assert.That(Lvm.Lines, Is.Empty);
    }

    [Test]
    public async Task With_none_to_keep_a_run_replaces_the_content()
    {
        var volume = Private with { RevisionsToKeep = 0 };
        await Pool.CreateAsync(volume, Token);
        await Run(volume, 'a');
        Assert.That(await Holds(volume), Is.EqualTo('a'));
        Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+work+private" }));
    }

    [Test]
    public async Task With_minus_one_a_run_writes_the_volume_itself_and_nobody_reads_it_meanwhile()
    {
        var volume = Private with { RevisionsToKeep = -1 };
        await Pool.CreateAsync(volume, Token);
        using (await Pool.StartAsync(volume, Token))
        {
            Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+work+private" }));
            Assert.That((await Assert.ThrowsAsync<MgmtException>(() => Pool.ExportAsync(volume, null, Token)))!.Message, Is.EqualTo("Volume appvms/work/private must be stopped before importing its data"));
            Assert.That(await CodeOf(() => Pool.StartAsync(Volume("appvms/x/private", save: false, source: "appvms/work/private"), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        }
        await Pool.StopAsync(volume, Token);
        using (await Pool.ExportAsync(volume, null, Token))
        {
            Assert.That(await CodeOf(() => Pool.StartAsync(volume, Token)), Is.EqualTo(ErrorCode.StoragePoolException), "it is being read");
        }
        await Run(volume, 'a');
        Assert.That(await Holds(volume), Is.EqualTo('a'));
        Assert.That(Lvm.TagsOf("appvms+work+private"), Is.EqualTo(new[] { "mgmt" }));
    }

    [Test]
    public async Task A_snapshot_starts_from_its_source_and_tells_when_that_changed()
    {
        var (template, root) = (Volume("vm-templates/deb/root"), Volume("appvms/work/root", save: false, source: "vm-templates/deb/root"));
        await Pool.CreateAsync(template, Token);
        await Run(template, 't');
        await Pool.CreateAsync(root, Token);
        using (var open = await Pool.StartAsync(root, Token))
        {
            Assert.That((First(open), Pool.IsOutdated(root)), Is.EqualTo(('t', false)));
            await Run(template, 'u');
            Assert.That((First(open), Pool.IsOutdated(root)), Is.EqualTo(('t', true)));
        }
        await Pool.StopAsync(root, Token);
        Assert.That(Lvm.Names.Where(name => name.Contains("work", StringComparison.Ordinal)), Is.Empty);
        using var again = await Pool.StartAsync(root, Token);
        Assert.That(First(again), Is.EqualTo('u'));
    }

    [Test]
    public async Task A_scratch_volume_is_empty_at_each_start()
    {
        var scratch = Volume("appvms/work/volatile", save: false);
        await Pool.CreateAsync(scratch, Token);
        await Run(scratch, 'x');
        Assert.That(Lvm.Names, Is.Empty);
        using var open = await Pool.StartAsync(scratch, Token);
        Assert.That((First(open), open.ReadOnly, open.SizeBytes), Is.EqualTo(('\0', false, Size)));
    }

    [Test]
    public async Task A_run_that_no_stop_followed_is_saved_at_the_next_start()
    {
        await Pool.CreateAsync(Private, Token);
        using (var open = await Pool.StartAsync(Private, Token))
        {
            RandomAccess.Write(open.Layers[0].File, "c"u8, 0);
        }
        await Reopen();
        using var next = await Pool.StartAsync(Private, Token);
        Assert.That(First(next), Is.EqualTo('c'));
        Assert.That(Ids(Private), Is.EqualTo(new[] { "1" }));
    }

    [Test]
    public async Task An_inactive_volume_is_activated_before_it_is_used()
    {
        await Pool.CreateAsync(Private, Token);
        Lvm.Deactivate("appvms+work+private");
        await Run(Private, 'a');
        Assert.That(Lvm.Lines, Does.Contain("lvchange --yes --activate y --ignoreactivationskip vg0/appvms+work+private"));
    }

    [Test]
    public async Task Removing_takes_all_that_belongs_to_the_volume_and_nothing_else()
    {
        Lvm.AddForeign("appvms+work+private-rev7");
        Lvm.AddForeign("others");
        await Pool.CreateAsync(Private, Token);
        await Run(Private, 'a');
        await Pool.RemoveAsync(Private, Token);
        await Pool.RemoveAsync(Private, Token);
        Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+work+private-rev7", "others" }));
    }

    [Test]
    public async Task What_lvm2_has_no_name_for_is_refused(
        [Values("-rf/root", "snapshot/root", "a/x_tmeta/root", "a/root-snap", "a/root-tmp", "a/root-old", "a/root-rev3", ".a/root")] string vid)
    {
        Assert.That(await CodeOf(() => Pool.CreateAsync(Private with { Vid = Vid.Parse(vid) }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.CreateAsync(Private with { Vid = Vid.Parse(new string('a', 101)) }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(Lvm.Names, Is.Empty);
    }

    [Test]
    public async Task What_exists_is_not_made_again()
    {
        await Pool.CreateAsync(Private, Token);
        Lvm.AddForeign("appvms+other+private");
        Assert.That(await CodeOf(() => Pool.CreateAsync(Private, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.CreateAsync(Volume("appvms/other/private"), Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.StartAsync(Volume("appvms/other/private"), Token)), Is.EqualTo(ErrorCode.QubesVolumeNotFoundError), "not ours");
        Assert.That(await CodeOf(() => Pool.CreateAsync(Volume("appvms/e/volatile", save: false) with { Ephemeral = true }, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
    }

    [Test]
    public async Task A_full_pool_is_an_error_of_its_own_and_changes_nothing(
        [Values("  Free space in pool vg0/pool00 reached threshold.", "  Insufficient suitable allocatable extents", "  Volume group \"vg0\" has insufficient free space (0 extents): 1 required.")] string words)
    {
        await Pool.CreateAsync(Private, Token);
        Lvm.Before = line => line.StartsWith("lvcreate", StringComparison.Ordinal) ? new CommandResult(5, "", words) : null;
        Assert.That(await CodeOf(() => Pool.StartAsync(Private, Token)), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        Assert.That(await CodeOf(() => Import(Private, 'x')), Is.EqualTo(ErrorCode.MgmtNoSpaceError));
        Assert.That(Lvm.Names, Is.EqualTo(new[] { "appvms+work+private" }));
    }
}
