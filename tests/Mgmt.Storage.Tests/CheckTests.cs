using System.Collections.Immutable;
using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class CheckTests : PoolFixture
{
    private static readonly VolumeRecord Private = Volume("appvms/work/private", save: true);

    [SetUp]
    public async Task Fill()
    {
        await Pool.CreateAsync(Private, Token);
        await Filled(Private, 1);
    }

    [Test]
    public async Task Files_that_no_record_names_are_reported_and_never_deleted()
    {
        string[] foreign =
        [
            "notes.txt", "appvms/gone/private.qcow2", "appvms/work/private.qcow2.bak", "appvms/work/private.rev-1@2.stop.yes.kept.n.qcow2x",
            "appvms/work/private.rev-01@1000.stop.yes.kept.n.qcow2", "appvms/work/private.next@other.qcow2", "appvms/work/.tmp-inside",
        ];
        foreach (var file in foreign)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(PoolPath, file))!);
            await File.WriteAllTextAsync(Path.Combine(PoolPath, file), "mine", Token);
        }
        var found = await Check(mend: true);
        Assert.That(found.Select(finding => (finding.Kind, finding.What, finding.Mended)), Is.EquivalentTo(foreign.Select(file => ("unknown", file, false))));
        Assert.That(Files(PoolPath), Is.SupersetOf(foreign));
    }

    [Test]
    public async Task Planted_symbolic_links_are_reported_and_refused_and_never_followed()
    {
        var outside = Directory.CreateDirectory(Path.Combine(Top, "outside")).FullName;
        await File.WriteAllTextAsync(Path.Combine(outside, "file"), "secret", Token);
        Directory.CreateSymbolicLink(Path.Combine(PoolPath, "appvms/link"), outside);
        File.Delete(Path.Combine(PoolPath, "appvms/work/private.qcow2"));
        File.CreateSymbolicLink(Path.Combine(PoolPath, "appvms/work/private.qcow2"), Path.Combine(outside, "file"));
        File.CreateSymbolicLink(Path.Combine(PoolPath, "appvms/work/private.rev-7@1000.stop.yes.kept.n.qcow2"), Path.Combine(outside, "file"));
        var found = await Check(mend: true);
        Assert.That(found.Where(finding => finding.Kind == "unknown").Select(finding => finding.What), Is.EquivalentTo(new[]
        {
            "appvms/link", "appvms/work/private.qcow2", "appvms/work/private.rev-7@1000.stop.yes.kept.n.qcow2",
        }));
        Assert.That(found.Select(finding => (finding.Kind, finding.What)), Does.Contain(("damaged", "appvms/work/private")));
        Assert.That(Pool.Revisions(Private), Is.Empty);
        Assert.That(await CodeOf(() => Pool.ExportAsync(Private, null, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await File.ReadAllTextAsync(Path.Combine(outside, "file"), Token), Is.EqualTo("secret"));
    }

    [Test]
    public async Task Unfinished_work_is_reported_and_only_mended_when_asked()
    {
        using (var open = await Pool.StartAsync(Private, Token))
        {
            await Write(open, 2);
        }
        await File.WriteAllTextAsync(Path.Combine(PoolPath, ".tmp-x"), "x", Token);
        (string, string, bool)[] Expected(bool mended) => [("unclean", "appvms/work/private", mended), ("leftover", ".tmp-x", mended)];
        Assert.That((await Check(mend: false)).Select(finding => (finding.Kind, finding.What, finding.Mended)), Is.EqualTo(Expected(false)));
        Assert.That(await Exports(Private, 1), Is.True);
        Assert.That((await Check(mend: true)).Select(finding => (finding.Kind, finding.What, finding.Mended)), Is.EqualTo(Expected(true)));
        Assert.That(await Exports(Private, 2), Is.True);
        Assert.That(await Check(mend: true), Is.Empty);
    }

    [Test]
    public async Task What_is_in_use_is_left_alone()
    {
        using var open = await Pool.StartAsync(Private, Token);
        await using var target = await Pool.OpenSnapshotTargetAsync(Private, Token);
        Assert.That(await Pool.CheckAsync([Private], new HashSet<Vid> { Private.Vid!.Value }, mend: true, Token), Is.Empty);
        await target.CompleteAsync(RevisionTraits.Of(RevisionCause.Snapshot), Token);
    }

    [Test]
    public async Task A_volume_without_its_image_and_one_that_cannot_be_read_are_reported()
    {
        var damaged = Volume("appvms/damaged/private", save: true);
        Directory.CreateDirectory(Path.Combine(PoolPath, "appvms/damaged"));
        await File.WriteAllTextAsync(Path.Combine(PoolPath, "appvms/damaged/private.qcow2"), "not an image", Token);
        File.Delete(Path.Combine(PoolPath, "appvms/work/private.qcow2"));
        var found = await Pool.CheckAsync([Private, damaged], new HashSet<Vid>(), mend: true, Token);
        Assert.That(found.Select(finding => (finding.Kind, finding.What)), Is.EqualTo(new[] { ("damaged", "appvms/damaged/private"), ("missing", "appvms/work/private") }));
    }

    [Test]
    public async Task An_image_that_names_a_backing_file_is_not_opened_copied_or_kept()
    {
        var image = Path.Combine(PoolPath, "appvms/work/private.qcow2");
        LoopFileSystem.Run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", image, "4M");
        Assert.That(await CodeOf(() => Pool.StartAsync(Private, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That(await CodeOf(() => Pool.ExportAsync(Private, null, Token)), Is.EqualTo(ErrorCode.StoragePoolException));
        Assert.That((await Check(mend: true)).Single().Kind, Is.EqualTo("damaged"));
    }

    [Test]
    public async Task A_pool_that_changes_its_settings_keeps_as_many_as_it_says_now()
    {
        var asPool = Private with { RevisionsToKeep = null };
        Pool.Reconfigure(Pool.Record with { Config = VmRecord.Empty.Add("revisions_to_keep", "2") });
        for (byte run = 2; run <= 5; run++)
        {
            await Filled(asPool, run);
        }
        Assert.That(Pool.Revisions(asPool).Length, Is.EqualTo(2));
        Assert.That(Assert.Throws<MgmtException>(() => Pool.Reconfigure(Pool.Record with { Config = VmRecord.Empty.Add("revisions_to_keep", "-2") }))!.Code,
            Is.EqualTo(ErrorCode.StoragePoolException));
    }

    private Task<ImmutableArray<PoolFinding>> Check(bool mend) => Pool.CheckAsync([Private], new HashSet<Vid>(), mend, Token);
}
