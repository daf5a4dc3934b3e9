using Mgmt.Core;
using NUnit.Framework;

namespace Mgmt.Storage.Tests;

/// <summary>Names of files are ours, and nobody's volume can be called like one.</summary>
public sealed class VolumeNameTests
{
    private const string Root = "/pool";

    [TestCase("")]
    [TestCase("..")]
    [TestCase("a/../b")]
    [TestCase("/a")]
    [TestCase("a/")]
    [TestCase("a//b")]
    [TestCase("a\0b")]
    [TestCase("a b")]
    [TestCase("a@b")]
    [TestCase("ä")]
    public void What_is_no_volume_id_is_refused(string text) =>
        Assert.That(Assert.Throws<MgmtException>(() => Vid.Parse(text))!.Code, Is.EqualTo(ErrorCode.QubesValueError));

    [Test]
    public void A_name_of_300_characters_is_refused()
    {
        Assert.That(Assert.Throws<MgmtException>(() => Vid.Parse(new string('a', 300)))!.Code, Is.EqualTo(ErrorCode.QubesValueError));
        Assert.That(Assert.Throws<MgmtException>(() => VolumeFiles.Of(Root, Vid.Parse("a/" + new string('a', 51)), ".qcow2"))!.Code, Is.EqualTo(ErrorCode.StoragePoolException));
        var files = VolumeFiles.Of(Root, Vid.Parse("a/" + new string('a', 50)), ".qcow2");
        var traits = new RevisionTraits(new string('n', 64), true, RevisionCause.Snapshot, Quiesced.TimedOut);
        Assert.That(Path.GetFileName(RevisionFile.NameOf(files, long.MaxValue, DateTimeOffset.MaxValue, traits)), Has.Length.LessThanOrEqualTo(255));
        Assert.That(Assert.Throws<MgmtException>(() => RevisionFile.NameOf(files, 1, DateTimeOffset.UnixEpoch, traits with { Name = new string('n', 300) }))!.Code, Is.EqualTo(ErrorCode.QubesValueError));
    }

    [Test]
    public void Each_file_of_a_volume_is_known_as_its_own([Values("private", "a/b", "a.rev-1", "a.next", "x.direct")] string name, [Values(".qcow2", ".img")] string suffix)
    {
        var vid = Vid.Parse(name);
        var files = VolumeFiles.Of(Root, vid, suffix);
        var revision = RevisionFile.NameOf(files, 7, DateTimeOffset.UnixEpoch, RevisionTraits.Of(RevisionCause.Stop));
        foreach (var file in (string[])[.. files.All, revision, files.Gone(3)])
        {
            Assert.That(VolumeFiles.Owner(Root, file, suffix), Is.EqualTo(vid), file);
        }
    }

    [Test]
    public void A_revision_is_read_as_it_was_written([Values] RevisionCause cause, [Values] Quiesced quiesced, [Values] bool pinned, [Values(null, "a", "../é/\0 x")] string? name)
    {
        var files = VolumeFiles.Of(Root, Vid.Parse("a/b"), ".img");
        var created = DateTimeOffset.FromUnixTimeMilliseconds(1_732_590_000_123);
        var traits = new RevisionTraits(name, pinned, cause, quiesced);
        var file = RevisionFile.NameOf(files, 12, created, traits);
        Assert.That(Path.GetDirectoryName(file), Is.EqualTo("/pool/a"));
        Assert.That(RevisionFile.Parse(files, file), Is.EqualTo(new RevisionFile(file, 12, created, traits)));
    }

    [TestCase("b.rev-0@1.stop.yes.kept.n.img")]
    [TestCase("b.rev-01@1.stop.yes.kept.n.img")]
    [TestCase("b.rev--1@1.stop.yes.kept.n.img")]
    [TestCase("b.rev-99999999999999999999@1.stop.yes.kept.n.img")]
    [TestCase("b.rev-1@1.Stop.yes.kept.n.img")]
    [TestCase("b.rev-1@1.stop.maybe.kept.n.img")]
    [TestCase("b.rev-1@1.stop.yes.other.n.img")]
    [TestCase("b.rev-1@1.stop.yes.kept.n6.img")]
    [TestCase("b.rev-1@1.stop.yes.kept.n6A.img")]
    [TestCase("b.rev-1@1.stop.yes.kept.nff.img")]
    [TestCase("b.rev-1@1.stop.yes.kept..img")]
    [TestCase("b.rev-1@1.stop.yes.kept.n.x.img")]
    [TestCase("b.rev-1@99999999999999999.stop.yes.kept.n.img")]
    [TestCase("b.rev-1.1.stop.yes.kept@n.img")]
    [TestCase("b.rev-.img")]
    [TestCase("b.rev-img")]
    [TestCase("bb.rev-1@1.stop.yes.kept.n.img")]
    [TestCase("b.rev-1@1.stop.yes.kept.n.qcow2")]
    public void A_name_that_is_not_quite_a_revisions_is_none(string name) =>
        Assert.That(RevisionFile.Parse(VolumeFiles.Of(Root, Vid.Parse("a/b"), ".img"), "/pool/a/" + name), Is.Null);

    [TestCase("a/b.img")]
    [TestCase("a/b")]
    [TestCase("a/@.qcow2")]
    [TestCase(".tmp-1.qcow2")]
    [TestCase("b.run.run.qcow2")]
    public void Other_files_belong_to_nobody(string file) =>
        Assert.That(VolumeFiles.Owner(Root, Path.Combine(Root, file), ".qcow2"), Is.Null);
}
