using System.Globalization;
using System.Text;

namespace Mgmt.Policy.Tests;

/// <summary>What a rule file can be made of, on disk: each has its limit, and beyond it an error with file and line.</summary>
[TestFixture]
[CancelAfter(60_000)]
public sealed class BadInputTests
{
    private const int FileBytes = 16 * 1024 * 1024;

    private TemporaryDirectory _directory = null!;

    [SetUp]
    public void MakeDirectory()
    {
        _directory = new TemporaryDirectory();
        Directory.CreateDirectory(_directory["etc/include"]);
    }

    [TearDown]
    public void RemoveDirectory() => _directory.Dispose();

    [Test]
    public void A_file_of_16_MiB_loads_and_one_more_byte_is_an_error()
    {
        var bytes = new byte[FileBytes + 1];
        bytes.AsSpan().Fill((byte)'\n');
        File.WriteAllBytes(_directory["etc/30-x.policy"], bytes.AsSpan(0, FileBytes).ToArray());
        Assert.That(Errors(), Is.Empty);
        File.WriteAllBytes(_directory["etc/30-x.policy"], bytes);
        Assert.That(Errors(), Is.EqualTo(new[] { "30-x.policy:1:1: file 30-x.policy is larger than 16777216 bytes" }));
    }

    [Test]
    public void An_included_file_that_is_too_large_is_told_where_it_is_included()
    {
        File.WriteAllBytes(_directory["etc/include/a"], new byte[FileBytes + 1]);
        _directory.Write("etc/30-x.policy", "# x\n!include include/a\n");
        Assert.That(Errors(), Is.EqualTo(new[] { "30-x.policy:2:10: file include/a is larger than 16777216 bytes" }));
    }

    [Test]
    public void A_line_of_a_million_bytes_loads_and_one_more_is_an_error()
    {
        _directory.Write("etc/30-x.policy", "# x\n#" + new string('x', 999_999) + "\ns * * * deny\n");
        Assert.That(Errors(), Is.Empty);
        _directory.Write("etc/30-x.policy", "# x\n#" + new string('x', 1_000_000) + "\ns * * * maybe\n");
        Assert.That(Errors(), Is.EqualTo(new[] { "30-x.policy:2:1: the line is longer than 1000000 bytes", "30-x.policy:3:9: invalid action 'maybe': expected allow, deny or ask" }));
    }

    [Test]
    public void A_word_of_a_million_bytes_is_a_name_and_is_quoted_short()
    {
        var word = new string('w', 900_000);
        _directory.Write("etc/30-x.policy", $"s * {word} vault deny\n");
        Assert.That(Errors(), Is.Empty);
        _directory.Write("etc/30-x.policy", $"s * @{word} vault deny\n");
        Assert.That(Errors().Single(), Has.Length.LessThan(400));
    }

    [Test]
    public void Ten_thousand_includes_load_and_one_more_is_an_error()
    {
        _directory.Write("etc/include/a", "s * work vault deny\n");
        _directory.Write("etc/30-x.policy", string.Concat(Enumerable.Repeat("!include include/a\n", 10_000)));
        Assert.That(Errors(), Is.Empty);
        File.AppendAllText(_directory["etc/30-x.policy"], "!include include/a\n");
        Assert.That(Errors(), Is.EqualTo(new[] { "30-x.policy:10001:10: more than 10000 includes" }));
    }

    [TestCase("!include include/loop", "30-x.policy:1:10: not a file: include/loop")]
    [TestCase("!include include/a/b", "30-x.policy:1:10: not a file: include/a/b")]
    [TestCase("!include-service s * include/loop", "30-x.policy:1:22: not a file: include/loop")]
    [TestCase("!include-dir include/loop", "30-x.policy:1:14: not a directory: include/loop")]
    public void A_circle_of_links_is_an_error_where_it_is_included(string line, string error)
    {
        File.CreateSymbolicLink(_directory["etc/include/loop"], "other");
        File.CreateSymbolicLink(_directory["etc/include/other"], "loop");
        File.CreateSymbolicLink(_directory["etc/include/a"], "loop");
        _directory.Write("etc/30-x.policy", line);
        Assert.That(Errors(), Is.EqualTo(new[] { error }));
    }

    [Test]
    public void A_link_to_the_directory_above_is_no_circle()
    {
        Directory.CreateSymbolicLink(_directory["etc/include/up"], "..");
        _directory.Write("etc/30-x.policy", "!include-dir include/up/include\n");
        _directory.Write("etc/include/10-a.policy", "s * * * deny");
        Assert.That(Errors(), Is.Empty);
    }

    [TestCase("40-loop.policy")]
    [TestCase("../gone")]
    [TestCase("include")]
    public void A_rule_file_that_is_a_link_to_no_file_is_passed_over_and_lint_warns(string target)
    {
        File.CreateSymbolicLink(_directory["etc/40-loop.policy"], target);
        Assert.That(Errors(), Is.Empty);
        var report = PolicyLint.Check(Source, Sets.Pure, null);
        Assert.That(report.Warnings.Select(warning => warning.ToString()), Is.EqualTo(new[] { "40-loop.policy:1:1: this is a link that leads to no file, so it is passed over" }));
    }

    [TestCase("# x\n# \u00ff", "30-x.policy:2:3: the line is not UTF-8")]
    [TestCase("# x\r# \u00c3(", "30-x.policy:2:3: the line is not UTF-8")]
    [TestCase("# x\r\n\u00ed\u00a0\u0080", "30-x.policy:2:1: the line is not UTF-8")]
    [TestCase("# x\ns * work\0 vault deny", "30-x.policy:2:9: the line has a NUL byte")]
    [TestCase("# x\roops", "30-x.policy:2:1: too few words: expected SERVICE ARG SOURCE TARGET ACTION and parameters")]
    [TestCase("\u00ef\u00bb\u00bf# x", "30-x.policy:1:1: the file begins with a byte order mark: expected UTF-8 without one")]
    [TestCase("# x\n\u00ef\u00bb\u00bf# y", "30-x.policy:2:1: too few words: expected SERVICE ARG SOURCE TARGET ACTION and parameters")]
    public void Bytes_that_do_not_belong_are_errors_with_their_line_also_in_an_include(string latin1, string error)
    {
        File.WriteAllBytes(_directory["etc/30-x.policy"], Encoding.Latin1.GetBytes(latin1));
        Assert.That(Errors(), Is.EqualTo(new[] { error }));
        File.Move(_directory["etc/30-x.policy"], _directory["etc/include/a"]);
        _directory.Write("etc/30-x.policy", "# x\n!include include/a\n");
        Assert.That(Errors(), Is.EqualTo(new[] { "include/a" + error["30-x.policy".Length..] }));
    }

    [Test]
    public void A_pipe_and_a_directory_are_no_files_and_do_not_block()
    {
        Directory.CreateDirectory(_directory["etc/50-dir.policy"]);
        Assert.That(System.Diagnostics.Process.Start("mkfifo", _directory["etc/include/pipe"]).WaitForExit(10_000));
        _directory.Write("etc/30-x.policy", "!include include/pipe\n!include include\n");
        Assert.That(Errors(), Is.EqualTo(new[] { "30-x.policy:1:10: not a file: include/pipe", "30-x.policy:2:10: not a file: include" }));
    }

    [Test]
    public void Of_very_many_mistakes_the_first_thousand_are_told()
    {
        _directory.Write("etc/30-x.policy", string.Concat(Enumerable.Range(0, 5000).Select(i => string.Create(CultureInfo.InvariantCulture, $"oops{i}\n"))));
        Assert.That(Errors(), Has.Count.EqualTo(1000));
    }

    private PolicySource Source => PolicySource.FromDirectories(new PolicyDirectory(_directory["etc"]));

    private List<string> Errors() => [.. PolicySet.Load(Source, Sets.Pure).Errors.Select(error => error.ToString())];
}
