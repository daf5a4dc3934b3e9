using System.Formats.Tar;
using System.Text;

namespace Mgmt.Core.Tests;

/// <summary>Tar streams from anybody: nothing is written outside the directory.</summary>
public sealed class TarTreeTests
{
    private string _root = null!;

    private string Inside => Path.Combine(_root, "inside");

    private string Outside => Path.Combine(_root, "outside");

    [SetUp]
    public void Make()
    {
        _root = Directory.CreateTempSubdirectory("tar-tree-").FullName;
        Directory.CreateDirectory(Inside);
        Directory.CreateDirectory(Outside);
    }

    [TearDown]
    public void Remove() => Directory.Delete(_root, recursive: true);

    private static PaxTarEntry Plain(string name, string text = "x") => new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.ASCII.GetBytes(text)) };

    private static PaxTarEntry Folder(string name) => new(TarEntryType.Directory, name);

    private static PaxTarEntry Link(string name, string target) => new(TarEntryType.SymbolicLink, name) { LinkName = target };

    private static MemoryStream Tar(params TarEntry[] entries)
    {
        var stream = new MemoryStream();
        using (var writer = new TarWriter(stream, leaveOpen: true))
        {
            foreach (var entry in entries)
            {
                writer.WriteEntry(entry);
            }
        }
        stream.Position = 0;
        return stream;
    }

    private async Task RefusedAsync(Stream tar)
    {
        Assert.That((await Assert.ThrowsAsync<MgmtException>(() => TarTree.ReadAsync(tar, Inside, default)))!.Code, Is.EqualTo(ErrorCode.QubesValueError));
        Assert.That(Directory.GetFileSystemEntries(Outside), Is.Empty);
        Assert.That(Directory.GetFileSystemEntries(_root), Is.EquivalentTo(new[] { Inside, Outside }));
    }

    [TestCase("../evil")]
    [TestCase("a/../../evil")]
    [TestCase("/tmp/evil-of-a-tar")]
    [TestCase("..")]
    public Task A_name_that_leads_out_is_refused(string name) => RefusedAsync(Tar(Plain(name)));

    [Test]
    public Task A_file_behind_a_link_is_refused() => RefusedAsync(Tar(Link("d", Outside), Plain("d/evil")));

    [Test]
    public Task A_link_that_becomes_a_directory_is_refused() => RefusedAsync(Tar(Link("d", Outside), Folder("d"), Plain("d/evil")));

    [Test]
    public Task A_link_within_a_directory_that_becomes_one_is_refused() => RefusedAsync(Tar(Folder("a"), Link("a/d", Outside), Folder("a/d/"), Plain("a/d/evil")));

    [Test]
    public Task A_file_over_a_link_is_refused() => RefusedAsync(Tar(Link("f", Path.Combine(Outside, "evil")), Plain("f")));

    [Test]
    public Task A_directory_that_becomes_a_link_is_refused() => RefusedAsync(Tar(Folder("d"), Link("d", Outside), Plain("d/evil")));

    [Test]
    public Task Something_twice_is_refused() => RefusedAsync(Tar(Plain("f"), Plain("f", "y")));

    [TestCase(TarEntryType.HardLink)]
    [TestCase(TarEntryType.Fifo)]
    [TestCase(TarEntryType.CharacterDevice)]
    [TestCase(TarEntryType.BlockDevice)]
    public Task Another_kind_of_entry_is_refused(TarEntryType type)
    {
        var entry = new PaxTarEntry(type, "odd");
        if (type == TarEntryType.HardLink)
        {
            entry.LinkName = "/etc/passwd";
        }
        return RefusedAsync(Tar(entry));
    }

    [Test]
    public async Task What_is_no_tar_is_refused() => await RefusedAsync(new MemoryStream(Enumerable.Repeat((byte)'x', 2048).ToArray()));

    [Test]
    public async Task Set_uid_bits_do_not_come_through_and_a_tree_comes_back_as_it_was()
    {
        await TarTree.ReadAsync(Tar(Folder("a/"), new PaxTarEntry(TarEntryType.RegularFile, "a/su") { Mode = (UnixFileMode)0xFED /* 7755 */ }, Link("a/l", "/etc/passwd"), Plain("deep/er/f", "text")), Inside, default);
        Assert.That(File.GetUnixFileMode(Path.Combine(Inside, "a/su")) & ~(UnixFileMode)0x1FF, Is.EqualTo(UnixFileMode.None));
        var tar = new MemoryStream();
        Assert.That(await TarTree.WriteAsync(Inside, tar, default), Is.Zero);
        tar.Position = 0;
        await TarTree.ReadAsync(tar, Outside, default);
        Assert.That(await File.ReadAllTextAsync(Path.Combine(Outside, "deep/er/f")), Is.EqualTo("text"));
        Assert.That(new FileInfo(Path.Combine(Outside, "a/l")).LinkTarget, Is.EqualTo("/etc/passwd"));
    }
}
