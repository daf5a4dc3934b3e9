namespace Mgmt.Cli.Tests;

/// <summary>policy edit and convert with --policy-dir: no daemon, and checked and written as one does it.</summary>
public sealed class PolicyDirectoryEditTests
{
    private string _directory = null!;

    [SetUp]
    public void MakeDirectory()
    {
        _directory = Directory.CreateTempSubdirectory("mgmtctl-edit-").FullName;
        Write("etc/30-user.policy", "s * work vault allow\n");
        Write("vms.json", """{"domains": {"dom0": {"type": "AdminVM"}, "work": {"type": "AppVM"}, "vault": {"type": "AppVM"}}}""");
    }

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(_directory, recursive: true);

    [TestCase("30-user", "etc/30-user.policy")]
    [TestCase("40-new", "etc/40-new.policy")]
    [TestCase("include/role", "etc/include/role")]
    public async Task A_file_is_edited_in_its_directory(string name, string path)
    {
        var ctl = await EditAsync(name, "printf 's * vault work deny\\n' >>");
        Assert.That(ctl.Code, Is.Zero, ctl.Error);
        Assert.That(Read(path), Does.EndWith("s * vault work deny\n"));
        Assert.That(Directory.EnumerateFiles(Path.Join(_directory, "etc"), ".*", SearchOption.AllDirectories), Is.Empty);
    }

    [Test]
    public async Task A_mistake_is_told_with_its_line_and_nothing_is_written()
    {
        var ctl = await EditAsync("30-user", "printf 'oops\\n' >>");
        Assert.That((ctl.Code, Read("etc/30-user.policy")), Is.EqualTo((1, "s * work vault allow\n")));
        Assert.That(ctl.Error, Does.Contain("30-user.policy:2: too few words").And.Contain("what you wrote is in "));
        Directory.Delete(Path.GetDirectoryName(ctl.Error.TrimEnd('\n').Split(" is in ")[1])!, recursive: true);
    }

    [Test]
    public async Task A_file_that_was_changed_meanwhile_is_not_overwritten()
    {
        var ctl = await EditAsync("30-user", $"printf '# other\\n' >{_directory}/etc/30-user.policy; printf '# mine\\n' >>");
        Assert.That((ctl.Code, Read("etc/30-user.policy")), Is.EqualTo((1, "# other\n")));
        Assert.That(ctl.Error, Does.Contain("Token mismatch"));
        Directory.Delete(Path.GetDirectoryName(ctl.Error.TrimEnd('\n').Split(" is in ")[1])!, recursive: true);
    }

    [Test]
    public async Task A_link_is_not_replaced()
    {
        File.CreateSymbolicLink(Path.Join(_directory, "etc/40-link.policy"), Path.Join(_directory, "etc/30-user.policy"));
        var ctl = await EditAsync("40-link", "printf '# x\\n' >>");
        Assert.That(ctl.Code, Is.EqualTo(1));
        Assert.That(ctl.Error, Does.Contain("is a link"));
    }

    [Test]
    public async Task What_lint_warns_of_is_told()
    {
        var ctl = await EditAsync("30-user", "printf 's * work gone allow\\n' >>", "--system-info", Path.Join(_directory, "vms.json"));
        Assert.That((ctl.Code, ctl.Error), Is.EqualTo((0, "mgmtctl: warning: 30-user.policy:2:10: there is no VM 'gone'\n")));
    }

    [Test]
    public async Task Another_broken_file_can_be_mended_and_until_then_nothing_else_is_changed_P5()
    {
        Write("etc/20-broken.policy", "oops\n");
        var other = await EditAsync("30-user", "printf '# x\\n' >>");
        Assert.That((other.Code, Read("etc/30-user.policy")), Is.EqualTo((1, "s * work vault allow\n")));
        Directory.Delete(Path.GetDirectoryName(other.Error.TrimEnd('\n').Split(" is in ")[1])!, recursive: true);
        var mended = await EditAsync("20-broken", "printf '# mended\\n' >");
        Assert.That((mended.Code, Read("etc/20-broken.policy")), Is.EqualTo((0, "# mended\n")), mended.Error);
    }

    [Test]
    public async Task Convert_shows_what_changes_and_writes_only_when_told()
    {
        Write("legacy/s", "vault work allow,user=u\n$anyvm $anyvm deny\n");
        Write("legacy/t+a", "work vault ask\n");
        var ctl = await ConvertAsync();
        Assert.That((ctl.Code, Files()), Is.EqualTo((0, "etc/30-user.policy legacy/s legacy/t+a")), ctl.Error);
        Assert.That(ctl.Out, Is.EqualTo("s\t+\tvault\twork\tdeny\tallow work\t-\t35-compat.policy:3\nt\t+a\twork\tvault\tdeny\task vault\t-\t35-compat.policy:6\n"));
        Assert.That(ctl.Error, Does.Contain("35-compat.policy: 5 rules of the legacy files"));
    }

    [Test]
    public async Task Convert_writes_the_rules_renames_the_legacy_files_and_is_done_after_that()
    {
        Write("legacy/s", "vault work allow,user=u\n$anyvm $anyvm deny\n");
        Write("legacy/t+a", "$include:more\n");
        Write("legacy/more", "work vault ask\n");
        var ctl = await ConvertAsync("--write", "--rename-legacy");
        Assert.That((ctl.Code, Files()), Is.EqualTo((0, "etc/30-user.policy etc/35-compat.policy legacy/more.rpmsave legacy/s.rpmsave legacy/t+a.rpmsave")), ctl.Error);
        Assert.That(Read("etc/35-compat.policy"), Is.EqualTo($"""
            # Converted from {_directory}/legacy by mgmtctl policy convert
            # {_directory}/legacy/more
            more * work vault ask
            # {_directory}/legacy/s
            s * vault work allow user=u
            s * @anyvm @anyvm deny
            # {_directory}/legacy/more
            t +a work vault ask
            # {_directory}/legacy/t+a
            t +a @anyvm @anyvm deny
            t +a @anyvm @adminvm deny

            """));
        var again = await ConvertAsync("--write", "--rename-legacy");
        Assert.That((again.Code, again.Out, Files()), Is.EqualTo((0, "", "etc/30-user.policy etc/35-compat.policy legacy/more.rpmsave legacy/s.rpmsave legacy/t+a.rpmsave")));
    }

    [Test]
    public async Task Convert_takes_the_place_of_the_line_that_reads_legacy_files_and_keeps_the_old_version()
    {
        Write("etc/35-old.policy", "# before\n!compat-4.0\n# after\n");
        Write("legacy/s", "work vault deny\nvault work allow\n");
        var ctl = await ConvertAsync("--write");
        Assert.That((ctl.Code, ctl.Out), Is.EqualTo((0, "")), "the legacy files were in force, so nothing changes: " + ctl.Error);
        Assert.That(Read("etc/35-old.policy"), Is.EqualTo($"# before\n# Converted from {_directory}/legacy by mgmtctl policy convert\n# {_directory}/legacy/s\ns * vault work allow\n# after\n"), "s from work to vault is decided by 30-user");
        Assert.That(Read("etc/35-old.policy.bak"), Is.EqualTo("# before\n!compat-4.0\n# after\n"));
        Assert.That((await ConvertAsync("--write")).Error, Does.Contain("nothing to convert"));
    }

    [Test]
    public async Task Convert_in_json_is_a_list_also_when_it_is_empty()
    {
        Assert.That((await ConvertAsync("--json")).Out, Is.EqualTo("[]\n"));
        Write("legacy/s", "vault work allow\n");
        Assert.That((await ConvertAsync("--json")).Out, Does.StartWith("[{\"service\":\"s\","));
    }

    [TestCase("--rename-legacy", 2)]
    [TestCase("--legacy-dir /nonexistent", 1)]
    public async Task Convert_is_refused_with(string options, int code) => Assert.That((await ConvertAsync(options.Split(' '))).Code, Is.EqualTo(code));

    [Test]
    public async Task Convert_of_broken_files_is_refused()
    {
        Write("legacy/s", "oops\n");
        var ctl = await ConvertAsync("--write");
        Assert.That((ctl.Code, Files()), Is.EqualTo((1, "etc/30-user.policy legacy/s")));
        Assert.That(ctl.Error, Does.Contain($"{_directory}/legacy/s:1:1: too few words"));
    }

    private async Task<(int Code, string Out, string Error)> EditAsync(string name, string editor, params string[] more)
    {
        var ctl = new Ctl("/nonexistent") { InputIsTerminal = false };
        ctl.Variables["EDITOR"] = editor;
        return (await ctl.RunAsync(CancellationToken.None, ["policy", "edit", name, "--policy-dir", Path.Join(_directory, "etc"), .. more]), ctl.Out, ctl.Error);
    }

    private async Task<(int Code, string Out, string Error)> ConvertAsync(params string[] options)
    {
        var ctl = new Ctl("/nonexistent");
        string[] legacy = options.Contains("--legacy-dir") ? [] : ["--legacy-dir", Path.Join(_directory, "legacy")];
        Directory.CreateDirectory(Path.Join(_directory, "legacy"));
        return (await ctl.RunAsync(CancellationToken.None, ["policy", "convert", .. legacy, .. options, "--policy-dir", Path.Join(_directory, "etc"), "--system-info", Path.Join(_directory, "vms.json")]), ctl.Out, ctl.Error);
    }

    private string Files() => string.Join(' ', new[] { "etc", "legacy" }.SelectMany(part => Directory.EnumerateFiles(Path.Join(_directory, part), "*", SearchOption.AllDirectories))
        .Select(file => Path.GetRelativePath(_directory, file)).Order(StringComparer.Ordinal));

    private string Read(string name) => File.ReadAllText(Path.Join(_directory, name));

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Join(_directory, name))!);
        File.WriteAllText(Path.Join(_directory, name), text);
    }
}
